package export_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// manyNodes is a chain of n nodes, each with an initializer and a stored type.
func manyNodes(n int) *onnxpb.ModelProto {
	shape := ops.Shape{ops.Symbolic("N"), ops.Fixed(4)}
	g := &onnxpb.GraphProto{Name: proto.String("chain"), Input: []*onnxpb.ValueInfoProto{ops.ValueInfo("t0", ops.Float32, shape)}}
	for i := range n {
		weight, in, out := fmt.Sprint("w", i), fmt.Sprint("t", i), fmt.Sprint("t", i+1)
		g.Initializer = append(g.Initializer, &onnxpb.TensorProto{Name: &weight, DataType: proto.Int32(int32(ops.Float32)), Dims: []int64{1}, RawData: make([]byte, 4)})
		g.Node = append(g.Node, &onnxpb.NodeProto{Name: proto.String("add" + out), OpType: proto.String("Add"), Input: []string{in, weight}, Output: []string{out}})
		g.ValueInfo = append(g.ValueInfo, ops.ValueInfo(out, ops.Float32, shape))
	}
	g.ValueInfo, g.Output = g.ValueInfo[:n-1], g.ValueInfo[n-1:]
	return &onnxpb.ModelProto{IrVersion: proto.Int64(8), OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(17)}}, Graph: g}
}

// BenchmarkManyNodes takes the time of each step on a graph of 200,000 nodes.
func BenchmarkManyNodes(b *testing.B) {
	const nodes = 200_000
	data, err := proto.Marshal(manyNodes(nodes))
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "chain.onnx")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.Fatal(err)
	}
	model, err := models.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	loss, params := find(b, "mse", nil)
	attached, err := export.Attach(model, loss, params, export.AttachOptions{OnlyLoss: true})
	if err != nil {
		b.Fatal(err)
	}
	last := fmt.Sprint("t", nodes)
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"open", func() error { _, err := models.Open(path); return err }},
		{"attach", func() error {
			_, err := export.Attach(model, loss, params, export.AttachOptions{OnlyLoss: true})
			return err
		}},
		{"check", func() error { return export.CheckModel(attached) }},
		{"save", func() error { return attached.Save(filepath.Join(b.TempDir(), "attached.onnx")) }},
		{"detach", func() error { _, err := export.Detach(attached); return err }},
		{"layers", func() error { _, err := model.Layers(); return err }},
		{"cut", func() error { _, err := model.Cut(last); return err }},
		{"twin", func() error { _, err := models.Twin(model, "a", "b"); return err }},
		{"join", func() error { _, _, err := models.Join(model, model, map[string]string{"t0": last}); return err }},
	} {
		b.Run(step.name, func(b *testing.B) {
			for b.Loop() {
				if err := step.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
