// Package nodetests hands the node tests of the ONNX standard to the tests of the
// engines: one small model per case, its inputs, and the outputs it must give.
//
// The archive lies beside the repository, not in it. A test that asks for it is
// skipped where it is absent, or fails there when the environment variable
// ONNXLOSS_REQUIRE lists the word "shared".
package nodetests

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/internal/testneeds"
)

// Case is one node test.
type Case struct {
	// Name is the standard's, without the "test_": "softmax_axis_0_expanded".
	Name string
	// Model is the serialised ModelProto.
	Model []byte
	// Graph is the model's graph, decoded.
	Graph *onnxpb.GraphProto
	// Inputs and Outputs have one entry for each input and output of the graph,
	// in its order and under its names. An entry is nil where the graph does not
	// declare a tensor (sequences, optionals) or the archive has no value for it.
	Inputs, Outputs []*onnxpb.TensorProto
}

// Cases reads all node tests, sorted by name.
func Cases(t testing.TB) []Case {
	t.Helper()
	cases, err := read(Shared(t, "onnx-node-tests.tar.gz"))
	if err != nil {
		t.Fatalf("nodetests: %v", err)
	}
	return cases
}

// Shared gives the path of a file in the folder "shared" beside the repository.
// Where the file is absent it skips the test, or fails it as the package says.
func Shared(t testing.TB, name string) string {
	t.Helper()
	root, err := repositoryRoot()
	if err != nil {
		t.Fatalf("nodetests: %v", err)
	}
	path := filepath.Join(filepath.Dir(root), "shared", filepath.FromSlash(name))
	if _, err := os.Stat(path); err == nil {
		return path
	}
	testneeds.Lacking(t, testneeds.Shared, path+" is not here")
	return ""
}

// repositoryRoot goes up from the folder of the package under test.
func repositoryRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = parent
	}
}

func read(path string) ([]Case, error) {
	files, err := unpack(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var cases []Case
	for _, name := range slices.Sorted(maps.Keys(files)) {
		folder, isModel := strings.CutSuffix(name, "/model.onnx")
		if !isModel {
			continue
		}
		c, err := decode(folder, files)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", folder, err)
		}
		cases = append(cases, c)
	}
	return cases, nil
}

func unpack(path string) (map[string][]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	archive := tar.NewReader(plain)
	for {
		header, err := archive.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if files[header.Name], err = io.ReadAll(archive); err != nil {
			return nil, err
		}
	}
}

func decode(folder string, files map[string][]byte) (Case, error) {
	_, name, _ := strings.Cut(folder, "/test_")
	c := Case{Name: name, Model: files[folder+"/model.onnx"]}
	var model onnxpb.ModelProto
	if err := proto.Unmarshal(c.Model, &model); err != nil {
		return Case{}, err
	}
	c.Graph = model.GetGraph()
	var err error
	if c.Inputs, err = values(c.Graph.GetInput(), folder+"/test_data_set_0/input_", files); err != nil {
		return Case{}, err
	}
	c.Outputs, err = values(c.Graph.GetOutput(), folder+"/test_data_set_0/output_", files)
	return c, err
}

func values(infos []*onnxpb.ValueInfoProto, prefix string, files map[string][]byte) ([]*onnxpb.TensorProto, error) {
	tensors := make([]*onnxpb.TensorProto, len(infos))
	for i, info := range infos {
		raw, ok := files[fmt.Sprintf("%s%d.pb", prefix, i)]
		if !ok || info.GetType().GetTensorType() == nil {
			continue
		}
		tensors[i] = &onnxpb.TensorProto{}
		if err := proto.Unmarshal(raw, tensors[i]); err != nil {
			return nil, err
		}
		tensors[i].Name = proto.String(info.GetName())
	}
	return tensors, nil
}
