package models

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
)

// history is the versions at which an operator changed. A node of an older version
// means the same in a newer one unless a breaking version lies between: others
// added types, attributes with a default, or results. Going back, any change counts.
type history struct {
	breaking, harmless []int
}

// histories are the operators that feature networks consist of, from opset 7 on.
// Reshape's and Identity's kin changed often only because of new types.
var histories = map[string]history{
	"Relu": {nil, []int{13, 14}}, "Conv": {nil, []int{11, 22}}, "MaxPool": {nil, []int{8, 10, 11, 12, 22}},
	"AveragePool": {nil, []int{10, 11, 19, 22}}, "GlobalAveragePool": {nil, []int{22}}, "GlobalMaxPool": {nil, []int{22}},
	"BatchNormalization": {[]int{9}, []int{14, 15}}, "InstanceNormalization": {nil, []int{22}}, "LRN": {nil, []int{13}},
	"LeakyRelu": {nil, []int{16}}, "PRelu": {[]int{9}, []int{16}}, "Elu": {nil, []int{22}}, "Selu": {nil, []int{22}},
	"Sigmoid": {nil, []int{13}}, "Tanh": {nil, []int{13}}, "HardSigmoid": {nil, []int{22}}, "Softplus": {nil, []int{22}},
	"Exp": {nil, []int{13}}, "Log": {nil, []int{13}}, "Sqrt": {nil, []int{13}}, "Abs": {nil, []int{13}}, "Neg": {nil, []int{13}}, "Erf": {nil, []int{13}},
	"Add": {nil, []int{13, 14}}, "Sub": {nil, []int{13, 14}}, "Mul": {nil, []int{13, 14}}, "Div": {nil, []int{13, 14}}, "Pow": {nil, []int{12, 13, 15}},
	"Sum": {nil, []int{8, 13}}, "Max": {nil, []int{8, 12, 13}}, "Min": {nil, []int{8, 12, 13}}, "Clip": {[]int{11}, []int{12, 13}},
	"Gemm": {nil, []int{9, 11, 13}}, "MatMul": {nil, []int{9, 13}}, "Softmax": {[]int{13}, []int{11}},
	"Concat": {nil, []int{11, 13}}, "Flatten": {nil, []int{9, 11, 13, 21, 23, 24, 25}}, "Transpose": {nil, []int{13, 21, 23, 24, 25}},
	"Reshape": {nil, []int{13, 14, 19, 21, 23, 24, 25}}, "Pad": {[]int{11}, []int{13, 18, 19, 21, 23, 24, 25}},
	"Unsqueeze": {[]int{13}, []int{11, 21, 23, 24, 25}}, "Squeeze": {[]int{13}, []int{11, 21, 23, 24, 25}}, "ReduceMean": {[]int{18}, []int{11, 13}},
	"Dropout":  {[]int{10, 12}, []int{13, 22}},
	"Identity": {nil, []int{13, 14, 16, 19, 21, 23, 24, 25}}, "Constant": {nil, []int{9, 11, 12, 13, 19, 21, 23, 24, 25}},
	"ConstantOfShape": {nil, []int{20, 21, 23, 24, 25}}, "Shape": {nil, []int{13, 15, 19, 21, 23, 24, 25}}, "Gather": {nil, []int{11, 13}},
	"Cast": {nil, []int{9, 13, 19, 21, 23, 24, 25}}, "Slice": {[]int{10}, []int{11, 13}},
}

// oldest and newest bound the opsets that histories covers.
const (
	oldestHistory = 7
	newestHistory = 26
)

// means reports whether a node of opset from means the same in opset to.
func means(n *onnxpb.NodeProto, from, to int) bool {
	h, known := histories[n.GetOpType()]
	if !known || min(from, to) < oldestHistory || max(from, to) > newestHistory {
		return false
	}
	between := func(version int) bool { return version > min(from, to) && version <= max(from, to) }
	changed := slices.ContainsFunc(h.harmless, between)
	// Further results, such as a mask, are what changed most.
	several := len(n.GetOutput()) > 1
	return !slices.ContainsFunc(h.breaking, between) && (!changed || from < to && !several)
}

// versions maps the domains that a model imports to their versions.
func versions(m *onnxpb.ModelProto) map[string]int64 {
	imported := map[string]int64{}
	for _, opset := range m.GetOpsetImport() {
		imported[standard(opset.GetDomain())] = opset.GetVersion()
	}
	return imported
}

// checkOpsets refuses a network whose operators mean something else in the host.
func (j *joining) checkOpsets() error {
	host, network := versions(j.host.Proto), versions(j.network.Proto)
	for _, domain := range slices.Sorted(maps.Keys(network)) {
		have, imported := host[domain]
		switch {
		case !imported || have == network[domain]:
		case domain != "":
			return fmt.Errorf("the host imports version %d of the operators %s, the network version %d; export one again", have, domain, network[domain])
		default:
			if err := j.sameMeaning(int(network[domain]), int(have)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j *joining) sameMeaning(from, to int) error {
	changed := map[string]bool{}
	eachNode(j.network.Proto.GetGraph().GetNode(), func(n *onnxpb.NodeProto) {
		if standard(n.GetDomain()) == "" && !means(n, from, to) {
			changed[n.GetOpType()] = true
		}
	})
	differ := fmt.Sprintf("the host is of opset %d, the network of opset %d", to, from)
	if len(changed) > 0 {
		return fmt.Errorf("%s, and between those %s may have changed; export the network with opset %d", differ, strings.Join(slices.Sorted(maps.Keys(changed)), ", "), to)
	}
	if len(j.network.Proto.GetFunctions()) > 0 {
		return fmt.Errorf("%s, and it has functions of its own; export the network with opset %d", differ, to)
	}
	return nil
}
