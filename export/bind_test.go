package export_test

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"google.golang.org/protobuf/proto"
)

func TestAdaptersGiveTheLossOfTheAdaptedTensor(t *testing.T) {
	// two samples of three positions, two classes: channels last and first
	last := engine.Must([]int{2, 3, 2}, []float32{1, 2, 3, -4, 5, 6, -7, 8, 9, 10, 0, 12})
	first := losses.Array{Shape: []int{2, 2, 3}, Data: []float64{1, 3, 5, 2, -4, 6, -7, 9, 0, 8, 10, 12}}
	index := engine.Must([]int{2, 3}, []int64{0, 1, 1, 0, 0, 1})
	oneHot := losses.Array{Shape: []int{2, 2, 3}, Data: []float64{1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1}}
	flat := losses.Array{Shape: []int{2, 3}, Data: []float64{1, 2, 3, 4, 5, 6}}
	labels := losses.Array{Shape: []int{2, 3}, Data: []float64{0, 1, 1, 0, 0, 1}}
	tests := []struct {
		name    string
		loss    string
		outputs []output
		bind    map[string]string
		inputs  map[string]engine.Tensor
		values  losses.Values
	}{
		{
			"channels last", "softmax-cross-entropy",
			[]output{{"scores", ops.Float32, "N,L,2"}},
			map[string]string{"logits": "scores | transpose 0 2 1"},
			map[string]engine.Tensor{"in_scores": half(last), "target": index},
			losses.Values{"logits": first, "target": labels},
		},
		{
			"index target made one-hot, of a tensor of the model", "sigmoid-cross-entropy",
			[]output{{"scores", ops.Float32, "N,L,2"}, {"classes", ops.Int64, "N,L"}},
			map[string]string{"logits": "scores|transpose 0,2,1", "target": "classes|one-hot 2"},
			map[string]engine.Tensor{"in_scores": half(last), "in_classes": engine.Must([]int{2, 3}, []int64{0, 0, 0, 0, 0, 0})},
			losses.Values{"logits": first, "target": losses.Array{Shape: []int{2, 2, 3}, Data: []float64{1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0}}},
		},
		{
			"index target made one-hot, a new input", "sigmoid-cross-entropy",
			[]output{{"scores", ops.Float32, "N,L,2"}},
			map[string]string{"logits": "scores | transpose 0 2 1", "target": "new labels | one-hot 2"},
			map[string]engine.Tensor{"in_scores": half(last), "labels": index},
			losses.Values{"logits": first, "target": oneHot},
		},
		{
			"one-hot target made indices", "softmax-cross-entropy",
			[]output{{"scores", ops.Float32, "N,L,2"}},
			map[string]string{"logits": "scores | transpose 0 2 1", "target": "new | argmax"},
			map[string]engine.Tensor{"in_scores": half(last), "target": engine.Must([]int{2, 2, 3}, []float32{1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1})},
			losses.Values{"logits": first, "target": labels},
		},
		{
			"squeeze, unsqueeze and cast", "mse",
			[]output{{"x", ops.Int32, "N,1,3"}, {"y", ops.Float64, "N,3"}},
			map[string]string{"prediction": "x | cast float32 | squeeze 1 | unsqueeze -1", "target": "y | unsqueeze 2"},
			map[string]engine.Tensor{"in_x": engine.Must([]int{2, 1, 3}, []int32{1, 2, 3, 4, 5, 6}), "in_y": engine.Must([]int{2, 3}, []float64{0, 0, 0, 0, 0, 1})},
			losses.Values{"prediction": scaled(flat, 2, 2, 3, 1), "target": losses.Array{Shape: []int{2, 3, 1}, Data: []float64{0, 0, 0, 0, 0, 2}}},
		},
		{
			"a new input behind squeeze and unsqueeze", "mse",
			[]output{{"x", ops.Float32, "N,3"}},
			map[string]string{"target": "new | squeeze 1"},
			map[string]engine.Tensor{"in_x": engine.Must([]int{1, 3}, []float32{1, 2, 3}), "target": engine.Must([]int{1, 1, 3}, []float32{0, 1, 2})},
			losses.Values{"prediction": losses.Array{Shape: []int{1, 3}, Data: []float64{2, 4, 6}}, "target": losses.Array{Shape: []int{1, 3}, Data: []float64{0, 1, 2}}},
		},
		{
			"a prediction that is a new input", "mse",
			[]output{{"x", ops.Float32, "N,3"}},
			map[string]string{"prediction": "new image", "target": "x"},
			map[string]engine.Tensor{"in_x": engine.Must([]int{1, 3}, []float32{1, 2, 3}), "image": engine.Must([]int{1, 3}, []float32{0, 1, 2})},
			losses.Values{"target": losses.Array{Shape: []int{1, 3}, Data: []float64{2, 4, 6}}, "prediction": losses.Array{Shape: []int{1, 3}, Data: []float64{0, 1, 2}}},
		},
	}
	for _, test := range tests {
		for _, opset := range []int{11, 13, ops.MaxOpset} {
			for _, form := range export.Forms() {
				t.Run(strings.Join([]string{test.name, string(form)}, "/"), func(t *testing.T) {
					loss, params := find(t, test.loss, nil)
					attached, err := export.Attach(hostModel(t, opset, test.outputs...), loss, params,
						export.AttachOptions{Bind: test.bind, Options: export.Options{Form: form}})
					if err != nil {
						t.Fatal(err)
					}
					want, err := loss.Evaluate(test.values, params, losses.Mean)
					if err != nil {
						t.Fatal(err)
					}
					got := runModel(t, attached, test.inputs)["loss"].Float64s()
					if len(got) != 1 || !(math.Abs(got[0]-want.Data[0]) <= 1e-6*max(1, want.Data[0])) {
						t.Errorf("loss %v, want %v", got, want.Data)
					}
					about, err := export.Describe(attached)
					if err != nil {
						t.Fatal(err)
					}
					for input := range about.Bind {
						if !strings.Contains(test.bind[input], "|") {
							t.Errorf("the metadata say that %s is adapted, %q", input, about.Bind[input])
						}
					}
					if adapted := slices.ContainsFunc(mapValues(test.bind), func(text string) bool { return strings.Contains(text, "|") }); adapted != (len(about.Bind) > 0) {
						t.Errorf("the metadata have the adapters %v", about.Bind)
					}
					checkDetach(t, attached, hostModel(t, opset, test.outputs...))
				})
			}
		}
	}
}

// half undoes that the host model doubles.
func half(x engine.Tensor) engine.Tensor {
	data := slices.Clone(engine.Data[float32](x))
	for i := range data {
		data[i] /= 2
	}
	return engine.Must(x.Shape(), data)
}

func scaled(a losses.Array, by float64, shape ...int) losses.Array {
	data := slices.Clone(a.Data)
	for i := range data {
		data[i] *= by
	}
	return losses.Array{Shape: shape, Data: data}
}

func mapValues(m map[string]string) []string {
	var values []string
	for _, v := range m {
		values = append(values, v)
	}
	return values
}

// checkDetach proves that what was attached can be taken off again.
func checkDetach(t *testing.T, attached, original *models.Model) {
	t.Helper()
	detached, err := export.Detach(attached)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(detached.Proto, original.Proto) {
		t.Errorf("detached, the model is\n%v\nwant\n%v", detached.Proto, original.Proto)
	}
}

func TestOneHotRefusesWhatIsNoClass(t *testing.T) {
	loss, params := find(t, "sigmoid-cross-entropy", nil)
	attached, err := export.Attach(hostModel(t, 13, output{"x", ops.Float32, "N,3"}), loss, params,
		export.AttachOptions{Bind: map[string]string{"target": "new | one-hot 3"}})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := attached.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range engines(t) {
		session, err := e.Load(raw)
		if err != nil {
			t.Fatal(err)
		}
		for class, valid := range map[int64]bool{0: true, 2: true, 3: false, -1: false, -3: false} {
			_, err := session.Run(map[string]engine.Tensor{
				"in_x": engine.Must([]int{1, 3}, []float32{1, 2, 3}), "target": engine.Must([]int{1}, []int64{class}),
			})
			if valid != (err == nil) {
				t.Errorf("%s: class %d of 3: %v", e.Name(), class, err)
			}
		}
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	}
}

// classifier is x -> MatMul -> scores -> op -> probabilities, and what follows.
func classifier(t *testing.T, op string, further ...*onnxpb.NodeProto) *models.Model {
	t.Helper()
	model := hostModel(t, 13, output{"scores", ops.Float32, "N,3"})
	graph := model.Proto.Graph
	graph.Node = append(graph.Node, &onnxpb.NodeProto{OpType: proto.String(op), Name: proto.String("act"), Input: []string{"scores"}, Output: []string{"probabilities"}})
	graph.Node = append(graph.Node, further...)
	last := graph.Node[len(graph.Node)-1].Output[0]
	graph.Output = []*onnxpb.ValueInfoProto{ops.ValueInfo(last, ops.Float32, ops.Shape{ops.Symbolic("N"), ops.Fixed(3)})}
	return model
}

func TestLogitsOfAClassifierAreWhatItsSoftmaxReads(t *testing.T) {
	node := func(op, from, to string) *onnxpb.NodeProto {
		return &onnxpb.NodeProto{OpType: proto.String(op), Input: []string{from}, Output: []string{to}}
	}
	tests := []struct {
		name    string
		op      string
		further []*onnxpb.NodeProto
		loss    string
		bind    string
		want    string // the tensor, or a part of the error
		refused bool
	}{
		{"found by itself", "Softmax", nil, "softmax-cross-entropy", "", "scores", false},
		{"through an identity", "Softmax", []*onnxpb.NodeProto{node("Identity", "probabilities", "out")}, "softmax-cross-entropy", "", "scores", false},
		{"a sigmoid's", "Sigmoid", nil, "sigmoid-focal", "", "scores", false},
		{"not where the layout changes", "Softmax", []*onnxpb.NodeProto{node("Flatten", "probabilities", "out")}, "softmax-cross-entropy", "", `a Softmax makes it, and the loss needs logits`, true},
		{"probabilities by name", "Softmax", nil, "softmax-cross-entropy", "probabilities", `bind what the Softmax reads, "scores"`, true},
		{"as they are", "Softmax", nil, "softmax-cross-entropy", "probabilities | as-is", "probabilities", false},
		{"an inner tensor", "Softmax", nil, "softmax-cross-entropy", "scores", "scores", false},
		{"log-probabilities are logits", "LogSoftmax", nil, "softmax-cross-entropy", "", "probabilities", false},
		{"probabilities where they are wanted", "Sigmoid", nil, "binary-cross-entropy", "", "probabilities", false},
		{"probabilities for logarithms", "Softmax", nil, "nll", "", "needs logarithms of probabilities", true},
		{"the inverse", "Softmax", nil, "softmax-cross-entropy", "probabilities | softmax-inverse", "has lost its logit", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			loss, params := find(t, test.loss, nil)
			in := loss.InputsFor(params)[0].Name
			options := export.AttachOptions{}
			if test.bind != "" {
				options.Bind = map[string]string{in: test.bind}
			}
			attached, err := export.Attach(classifier(t, test.op, test.further...), loss, params, options)
			if test.refused {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got error %v, want one with %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			about, err := export.Describe(attached)
			if err != nil {
				t.Fatal(err)
			}
			if about.Inputs[in] != test.want {
				t.Errorf("%s is %q, want %q", in, about.Inputs[in], test.want)
			}
		})
	}
}

func TestInputsAreFoundWhereThereIsOneWay(t *testing.T) {
	tests := []struct {
		name    string
		model   func(t *testing.T) *models.Model
		loss    string
		options export.AttachOptions
		want    map[string]string
	}{
		{
			"the only output of the right shape",
			hosting(output{"class_logits", ops.Float32, "N,9,10"}, output{"boxes", ops.Float32, "N,9,4"}),
			"giou",
			export.AttachOptions{},
			map[string]string{"prediction": "boxes", "target": "target"},
		},
		{
			"the output of the input's name",
			hosting(output{"a", ops.Float32, "N,3"}, output{"prediction", ops.Float32, "N,3"}),
			"mse",
			export.AttachOptions{},
			map[string]string{"prediction": "prediction", "target": "target"},
		},
		{
			"logits that are an output beside their probabilities",
			func(t *testing.T) *models.Model {
				model := classifier(t, "Softmax")
				model.Proto.Graph.Output = append(model.Proto.Graph.Output, ops.ValueInfo("scores", ops.Float32, ops.Shape{ops.Symbolic("N"), ops.Fixed(3)}))
				return model
			},
			"softmax-cross-entropy",
			export.AttachOptions{},
			map[string]string{"logits": "scores", "target": "target"},
		},
		{
			"not one that is bound already",
			hosting(output{"a", ops.Float32, "N,3"}, output{"b", ops.Float32, "N,3"}),
			"minimax-discriminator",
			export.AttachOptions{Bind: map[string]string{"real": "b"}},
			map[string]string{"real": "b", "fake": "a"},
		},
		{
			"nor one that is bound through an adapter",
			hosting(output{"a", ops.Float32, "N,3"}, output{"b", ops.Float32, "N,1,3"}),
			"minimax-discriminator",
			export.AttachOptions{Bind: map[string]string{"real": "b | squeeze 1"}},
			map[string]string{"real": "MinimaxDiscriminatorLoss/real", "fake": "a"},
		},
		{
			"a target among the model's inputs, by name",
			func(t *testing.T) *models.Model { return renamedInput(t, "target", ops.Float32) },
			"mse",
			export.AttachOptions{},
			map[string]string{"prediction": "a", "target": "target"},
		},
		{
			"no target of another type",
			func(t *testing.T) *models.Model { return renamedInput(t, "target", ops.Float32) },
			"softmax-cross-entropy",
			export.AttachOptions{},
			map[string]string{"logits": "a", "target": "target_2"},
		},
		{
			"an inner tensor that the file says nothing of", withInner,
			"mse",
			export.AttachOptions{Bind: map[string]string{"prediction": "inner"}},
			map[string]string{"prediction": "apart/inner", "target": "target"},
		},
		{
			"an initializer", withInner,
			"softmax-cross-entropy",
			export.AttachOptions{Bind: map[string]string{"logits": "inner", "weight": "w"}},
			map[string]string{"logits": "apart/inner", "target": "target", "weight": "w"},
		},
		{
			"an inner tensor whose type does not follow, stated by a cast", withInner,
			"mse",
			export.AttachOptions{Bind: map[string]string{"prediction": "foreign | cast float32"}},
			map[string]string{"prediction": "MSELoss/prediction", "target": "target"},
		},
		{
			"names with any characters",
			hosting(output{"a | transpose 0 1", ops.Float32, "N,3"}, output{"new", ops.Float32, "3,N"}),
			"mse",
			export.AttachOptions{Bind: map[string]string{"prediction": "a | transpose 0 1", "target": "new|transpose 1 0"}},
			map[string]string{"prediction": "a | transpose 0 1", "target": "MSELoss/target"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			loss, params := find(t, test.loss, nil)
			attached, err := export.Attach(test.model(t), loss, params, test.options)
			if err != nil {
				t.Fatal(err)
			}
			about, err := export.Describe(attached)
			if err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(about.Inputs, test.want) {
				t.Errorf("bound are %v, want %v", about.Inputs, test.want)
			}
			for in, tensor := range about.Inputs {
				if original, isCopy := strings.CutPrefix(tensor, "apart/"); isCopy && about.Bind[in] != original {
					t.Errorf("%s is a copy of %q, and the metadata say of %q", in, original, about.Bind[in])
				}
			}
			if err := export.CheckModel(attached); err != nil {
				t.Error(err)
			}
		})
	}
}

func hosting(outputs ...output) func(*testing.T) *models.Model {
	return func(t *testing.T) *models.Model { return hostModel(t, 17, outputs...) }
}

// renamedInput is a model a = in + in whose input has another name.
func renamedInput(t *testing.T, name string, dtype ops.DType) *models.Model {
	model := hostModel(t, 17, output{"a", dtype, "N,3"})
	graph := model.Proto.Graph
	graph.Input[0].Name = proto.String(name)
	graph.Node[0].Input = []string{name, name}
	return model
}

// withInner has an inner tensor of a type that follows and one of a type that does
// not, an initializer, and a branch with a tensor of its own.
func withInner(t *testing.T) *models.Model {
	model := hostModel(t, 17, output{"a", ops.Float32, "N,3"})
	graph := model.Proto.Graph
	graph.Initializer = []*onnxpb.TensorProto{
		engine.ToProto("w", engine.Must([]int{3}, []float32{1, 2, 3})),
		engine.ToProto("yes", engine.Must([]int{}, []bool{true})),
	}
	branch := &onnxpb.GraphProto{
		Name:   proto.String("branch"),
		Node:   []*onnxpb.NodeProto{{OpType: proto.String("Relu"), Input: []string{"a"}, Output: []string{"within"}}},
		Output: []*onnxpb.ValueInfoProto{{Name: proto.String("within")}},
	}
	graph.Node = append(graph.Node,
		&onnxpb.NodeProto{OpType: proto.String("Relu"), Name: proto.String("relu_node"), Input: []string{"a"}, Output: []string{"inner"}},
		&onnxpb.NodeProto{OpType: proto.String("Mystery"), Domain: proto.String("com.example"), Input: []string{"a"}, Output: []string{"foreign"}},
		&onnxpb.NodeProto{OpType: proto.String("If"), Input: []string{"yes"}, Output: []string{"chosen"}, Attribute: []*onnxpb.AttributeProto{
			{Name: proto.String("then_branch"), Type: onnxpb.AttributeProto_GRAPH.Enum(), G: branch},
			{Name: proto.String("else_branch"), Type: onnxpb.AttributeProto_GRAPH.Enum(), G: proto.CloneOf(branch)},
		}})
	model.Proto.OpsetImport = append(model.Proto.OpsetImport, &onnxpb.OperatorSetIdProto{Domain: proto.String("com.example"), Version: proto.Int64(1)})
	return model
}

func TestBindRefusesWithAReason(t *testing.T) {
	detector := hosting(output{"class_logits", ops.Float32, "N,9,10"}, output{"boxes", ops.Float32, "N,9,4"}, output{"mask", ops.Bool, "N"})
	bind := func(pairs ...string) export.AttachOptions {
		o := export.AttachOptions{Bind: map[string]string{}}
		for i := 0; i < len(pairs); i += 2 {
			o.Bind[pairs[i]] = pairs[i+1]
		}
		return o
	}
	sequence := func(t *testing.T) *models.Model {
		model := withInner(t)
		model.Proto.Graph.ValueInfo = append(model.Proto.Graph.ValueInfo, &onnxpb.ValueInfoProto{
			Name: proto.String("foreign"), Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_SequenceType{SequenceType: &onnxpb.TypeProto_Sequence{}}},
		})
		return model
	}
	tests := []struct {
		name    string
		model   func(t *testing.T) *models.Model
		loss    string
		options export.AttachOptions
		want    string
	}{
		{"shapes show both sides", detector, "softmax-cross-entropy", bind("logits", "class_logits", "target", "boxes | argmax"), `target ("SoftmaxCrossEntropyLoss/target") has shape [N,4], which does not fit logits ("class_logits"): ... is [10] there`},
		{"a fixed axis", detector, "giou", bind("prediction", "class_logits"), `prediction ("class_logits") has shape [N,9,10], but its axis of 4 has the size 10`},
		{"no output fits", hosting(output{"a", ops.Float32, "N,5"}), "giou", bind(), `no output of the model can be the prediction: "a" has shape [N,5], but its axis of 4 has the size 5`},
		{"a truth value", detector, "mse", bind("prediction", "mask"), `prediction needs floating-point numbers, but "mask" is bool[N]; convert them with "mask | cast float32"`},
		{"scores as labels", detector, "softmax-cross-entropy", bind("logits", "class_logits", "target", "boxes"), `of one-hot numbers make indices with "boxes | argmax"`},
		{"a typo", detector, "mse", bind("prediction", "boxs"), `no such tensor; did you mean "boxes"?`},
		{"a node's name", withInner, "mse", bind("prediction", "relu_node"), `the name of a node; bind a tensor that it makes: inner`},
		{"inside of a subgraph", withInner, "mse", bind("prediction", "within"), `inside of a subgraph; bind a tensor of the main graph`},
		{"an unknown type", withInner, "mse", bind("prediction", "foreign"), `the file does not say what type "foreign" has, and it does not follow from the operators; state it with an adapter, as in prediction="foreign | cast float32"`},
		{"a sequence", sequence, "mse", bind("prediction", "foreign"), `which is no tensor but a sequence of`},
		{"nothing", detector, "mse", bind("prediction", "| squeeze 1"), `no tensor is named`},
		{"an unknown adapter", detector, "mse", bind("prediction", "boxes | sqeeze 1"), `there is no adapter "sqeeze"; did you mean "squeeze"?`},
		{"an adapter far from all", detector, "mse", bind("prediction", "boxes | rot13"), `there is no adapter "rot13"; known are transpose, squeeze, unsqueeze, cast, one-hot, argmax, as-is`},
		{"a missing adapter", detector, "mse", bind("prediction", "boxes |"), `an adapter is missing behind |`},
		{"too few arguments", detector, "mse", bind("prediction", "boxes | transpose"), `adapter "transpose": it has 0 arguments; write transpose AXES`},
		{"no number", detector, "mse", bind("prediction", "boxes | squeeze first"), `"first" is not a whole number; write squeeze AXIS`},
		{"no order", detector, "mse", bind("prediction", "boxes | transpose 0 2 2"), `[0 2 2] is not an order of the axes 0 to 2`},
		{"another rank", detector, "mse", bind("prediction", "boxes | transpose 1 0"), `[1 0] does not order the axes of shape [N,9,4]`},
		{"an axis of another size", detector, "mse", bind("prediction", "boxes | squeeze 1"), `axis 1 of shape [N,9,4] is not of size 1`},
		{"an unknown type to cast to", detector, "mse", bind("prediction", "boxes | cast float31"), `float31`},
		{"one-hot of numbers", detector, "sigmoid-focal", bind("logits", "class_logits", "target", "boxes | one-hot 4"), `one-hot needs class indices, but the tensor is float32[N,9,4]; put cast int64 before it`},
		{"no classes", detector, "sigmoid-focal", bind("logits", "class_logits", "target", "new | one-hot 0"), `0 classes are too few`},
		{"another number of classes", detector, "sigmoid-focal", bind("logits", "class_logits", "target", "new | one-hot 10"), `the loss needs the shape [N,9,10], whose axis 1 is not of size 10`},
		{"a cast of a new input", detector, "mse", bind("prediction", "boxes", "target", "new | cast float32"), `a new input has the type that the loss needs`},
		{"a new input of a name that is taken", detector, "mse", bind("prediction", "boxes", "target", "new in_boxes"), `target cannot be the new input "in_boxes": the model has that name already`},
		{"two predictions, one output", hosting(output{"a", ops.Float32, "N,1"}), "minimax-discriminator", bind(), `no floating-point output to be the fake; bind a tensor with fake=TENSOR, or a new input with fake=new`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			loss, params := find(t, test.loss, nil)
			_, err := export.Attach(test.model(t), loss, params, test.options)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestCandidatesAreOutputsAndTheLogitsBehindThem(t *testing.T) {
	names := func(model *models.Model) []string {
		var list []string
		for _, c := range export.Candidates(model) {
			text := c.Name + " " + c.DType.String() + c.Shape.String()
			switch {
			case c.Output:
				text += " output " + c.Probabilities
			case c.LogitsOf != "":
				text += " logits of " + c.LogitsOf
			}
			list = append(list, strings.TrimSpace(text))
		}
		return list
	}
	model := hostModel(t, 17, output{"a", ops.Float16, "N,3"}, output{"k", ops.Int64, "N"}, output{"b", ops.Float32, "..."})
	if got, want := names(model), []string{"a float16[N,3] output", "b float32[...] output"}; !slices.Equal(got, want) {
		t.Errorf("candidates %q, want %q", got, want)
	}
	want := []string{"probabilities float32[N,3] output Softmax", "scores float32[N,3] logits of probabilities"}
	if got := names(classifier(t, "Softmax")); !slices.Equal(got, want) {
		t.Errorf("candidates %q, want %q", got, want)
	}
	both := classifier(t, "Softmax")
	both.Proto.Graph.Output = append(both.Proto.Graph.Output, ops.ValueInfo("scores", ops.Float32, ops.Shape{ops.Symbolic("N"), ops.Fixed(3)}))
	if got, want := names(both), []string{"probabilities float32[N,3] output Softmax", "scores float32[N,3] output"}; !slices.Equal(got, want) {
		t.Errorf("candidates %q, want %q", got, want)
	}
	loss, params := find(t, "softmax-cross-entropy", nil)
	attached, err := export.Attach(classifier(t, "Softmax"), loss, params, export.AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(attached); !slices.Equal(got, want) {
		t.Errorf("with a loss the candidates are %q, want %q", got, want)
	}
}
