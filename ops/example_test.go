package ops_test

import (
	"fmt"
	"log"

	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

// A graph of y = log(1 + sigmoid(x)), made a model and run.
func ExampleBuilder() {
	b := ops.NewBuilder(17, "", nil)
	x := b.Input("x", ops.Float32, ops.Shape{ops.Symbolic("N")})
	y := b.Output(b.Log1p(b.Sigmoid(x)), "y")
	fragment, err := b.Finish(y)
	if err != nil {
		log.Fatal(err)
	}

	edit := models.New(b.Opset()).Edit()
	edit.AddInputs(ops.ValueInfo(x.Name(), x.DType(), x.Shape()))
	edit.AddNodes(fragment.Nodes...)
	edit.AddOutputs(ops.ValueInfo(y.Name(), y.DType(), y.Shape()))
	model, err := edit.Model()
	if err != nil {
		log.Fatal(err)
	}
	data, err := model.Bytes()
	if err != nil {
		log.Fatal(err)
	}
	session, err := interp.New().Load(data)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	outputs, err := session.Run(map[string]engine.Tensor{"x": engine.Must([]int{3}, []float32{-2, 0, 2})})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s %.4f\n", outputs["y"], outputs["y"].Float64s())
	// Output: float32[3] [0.1126 0.4055 0.6317]
}

// What an opset does not have is an error of Finish.
func ExampleBuilder_Finish() {
	b := ops.NewBuilder(11, "", nil)
	x := b.Input("x", ops.Int64, ops.Shape{ops.Fixed(4)})
	y := b.Neg(b.Max(x, b.Int64s(0)))
	_, err := b.Finish(y)
	fmt.Println(err)
	// Output: ops: Max of int64 needs opset 12, got 11
}

func ExampleParseShape() {
	shape, err := ops.ParseShape("N,3,?,8")
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range shape {
		n, known := d.Size()
		fmt.Printf("%s: size %d, known %t, symbol %q\n", d, n, known, d.Symbol())
	}
	// Output:
	// N: size 0, known false, symbol "N"
	// 3: size 3, known true, symbol ""
	// ?: size 0, known false, symbol ""
	// 8: size 8, known true, symbol ""
}
