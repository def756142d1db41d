package ort_test

import (
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/ort"
)

// A model is run with ONNX Runtime, where that is there. It is not run as a test,
// since not every machine has the library.
func ExampleNew() {
	runtime, err := ort.New(ort.Options{Provider: "cuda", Threads: 4})
	if errors.Is(err, engine.ErrUnavailable) {
		log.Print(err) // says where the library was looked for, or what the provider lacks
		runtime, err = ort.New(ort.Options{})
	}
	if err != nil {
		log.Fatal(err)
	}
	data, err := os.ReadFile("model.onnx")
	if err != nil {
		log.Fatal(err)
	}
	session, err := runtime.Load(data)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	outputs, err := session.Run(map[string]engine.Tensor{"image": engine.Must([]int{1, 1, 8, 8}, make([]float32, 64))})
	if err != nil {
		log.Fatal(err)
	}
	for name, tensor := range outputs {
		fmt.Println(name, tensor)
	}
}

// Fetch gets the library with npm, once; Places tells where it is looked for.
func ExampleFetch() {
	location, err := ort.Find("")
	if errors.Is(err, engine.ErrUnavailable) {
		for _, place := range ort.Places("") {
			fmt.Println(place)
		}
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(location.Path, "from", location.How)
}
