package engine_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func ExampleTensor() {
	counts, err := engine.New([]int{2, 3}, []int64{1, 2, 3, 4, 5, 6})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(counts, counts.Len(), engine.Data[int64](counts)[5])

	// Half types are made of numbers, which are rounded once.
	half, err := engine.FromFloat64s(ops.Float16, []int{2}, []float64{1, 0.1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(half, half.Float64s())

	_, err = engine.New([]int{2, 2}, []float32{1, 2, 3})
	fmt.Println(err)
	// Output:
	// int64[2,3] 6 6
	// float16[2] [1 0.0999755859375]
	// engine: shape [2 2] needs 4 elements, got 3
}

// A tolerance passes what any of its three bounds allows.
func ExampleDiff() {
	want := engine.Must([]int{2, 2}, []float32{1, 2, 3, 4})
	got := engine.Must([]int{2, 2}, []float32{1, 2.0000002, 3, 4.5})
	fmt.Println(engine.Diff(want, want, engine.Tolerance{}))

	err := engine.Diff(got, want, engine.Tolerance{ULP: 1})
	if m, ok := errors.AsType[*engine.Mismatch](err); ok {
		fmt.Printf("%d of %d, the worst at %v: %v instead of %v\n", m.Count, m.Total, m.Worst.Index, m.Worst.Got, m.Worst.Want)
	}
	fmt.Println(engine.Diff(got, want, engine.Tolerance{Rel: 0.2}))
	// Output:
	// <nil>
	// 1 of 4, the worst at [1 1]: 4.5 instead of 4
	// <nil>
}
