package losses_test

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/losses"
)

var boundaryMappings = map[string]mapping{
	"boundary/boundary":               mapBoundary,
	"boundary/edt":                    mapDistanceTransform,
	"boundary/hausdorff_distance_map": mapDistanceTransform,
	"boundary/hausdorff_loss":         mapHausdorff,
	"boundary/signed_distance":        mapSignedDistance,
}

var boundaryExclusions = []goldenExclusion{
	{"boundary/edt", "edt of a mask without a zero: scipy answers with the distance to an element that is not there", fillsAnImage},
	{"boundary/hausdorff_distance_map", "hausdorff_distance_map of a class that fills the image: scipy's distance to an element that is not there", fillsAnImage},
	{"boundary/signed_distance", "signed_distance of a class that fills the image: scipy's distance to an element that is not there", fillsAnImage},
}

var boundaryElsewhere = []goldenExclusion{
	{"boundary/hausdorff_loss", "hausdorff_loss of a class that fills an image: scipy's distance to an element that is not there", regionFillsAnImage},
}

// classMasks reads the case's one mask as [1, K, D, ...]: edt's has no axis for classes.
func (c goldenCase) classMasks() (mask losses.Array, spacing string, err error) {
	name, spacing := "seg", "resolution"
	if c.kind() == "boundary/edt" {
		name, spacing = "mask", "sampling"
	}
	given, ok := c.Inputs[name]
	if !ok || len(c.Inputs) != 1 {
		return losses.Array{}, "", fmt.Errorf("the inputs are not one %s", name)
	}
	mask = given.array()
	if name == "mask" {
		mask.Shape = slices.Concat([]int{1}, mask.Shape)
	}
	mask.Shape = slices.Concat([]int{1}, mask.Shape)
	for i, x := range mask.Data {
		if x != 0 {
			mask.Data[i] = 1
		}
	}
	return mask, spacing, nil
}

// fillsAnImage says that a mask of the case has no zero.
func fillsAnImage(c goldenCase) bool {
	mask, _, err := c.classMasks()
	return err == nil && hasFullImage(mask)
}

// regionFillsAnImage says that a target or a predicted region has no outline.
func regionFillsAnImage(c goldenCase) bool {
	return hasFullImage(c.Inputs["target"].array()) || hasFullImage(highest(c.Inputs["probs"].array()))
}

func hasFullImage(mask losses.Array) bool {
	outer, count, inner := split(mask.Shape)
	for k := range outer * count {
		if inner > 0 && !slices.Contains(mask.Data[k*inner:(k+1)*inner], 0) {
			return true
		}
	}
	return false
}

// mapDistances: a mask without a batch axis, and a number an axis or one for all.
func mapDistances(c goldenCase, loss *losses.Loss, settings map[string]any, known ...string) (mapped, error) {
	mask, spacing, err := c.classMasks()
	if err != nil {
		return mapped{}, err
	}
	given, err := c.settings(append(known, spacing)...)
	if err != nil {
		return mapped{}, err
	}
	in := losses.Values{"mask": mask}
	switch s := given[spacing].(type) {
	case nil:
	case float64:
		in["spacing"] = scalar(s)
	case []any:
		a := losses.Zeros([]int{len(s)})
		for i := range s {
			a.Data[i], _ = s[i].(float64)
		}
		in["spacing"] = a
	default:
		return mapped{}, fmt.Errorf("%s is %v", spacing, s)
	}
	params, err := loss.Params(settings)
	shape := mask.Shape[1:]
	if c.kind() == "boundary/edt" {
		shape = shape[1:]
	}
	return mapped{
		loss: loss, in: in, params: params,
		outputs: map[string]losses.Reduction{"dist": losses.None, "edt": losses.None},
		reshape: func(_ string, a losses.Array) losses.Array { return losses.Array{Shape: shape, Data: a.Data} },
	}, err
}

func mapDistanceTransform(c goldenCase) (mapped, error) {
	return mapDistances(c, losses.DistanceTransform, nil)
}

// mapSignedDistance: a map written into an integer array loses what is after the
// point.
func mapSignedDistance(c goldenCase) (mapped, error) {
	m, err := mapDistances(c, losses.SignedDistanceMap, map[string]any{"inside": "released"}, "dtype", "seg_dtype")
	if err != nil {
		return m, err
	}
	m.rounding = 0x1p-52 // of a distance of 1, from which 1 is taken
	dtype, _ := c.Params["dtype"].(string)
	if dtype == "none" || dtype == "" {
		dtype, _ = c.Params["seg_dtype"].(string)
	}
	switch {
	case dtype == "float64":
	case dtype == "float32":
		m.tolerance = 0x1p-23
	case dtype == "float16":
		m.tolerance = 0x1p-10
	case strings.Contains(dtype, "int") || dtype == "bool":
		shaped := m.reshape
		m.reshape = func(output string, a losses.Array) losses.Array {
			a = shaped(output, a)
			for i, x := range a.Data {
				a.Data[i] = math.Trunc(x)
			}
			return a
		}
	default:
		return m, fmt.Errorf("the map is of type %q", dtype)
	}
	return m, nil
}

// mapBoundary: the classes idc count, and the unreduced loss has these alone.
func mapBoundary(c goldenCase) (mapped, error) {
	classes, err := c.classIndices()
	if err != nil {
		return mapped{}, err
	}
	probs, dist := c.Inputs["probs"].array(), c.Inputs["dist"].array()
	weight := losses.Zeros(probs.Shape[1:2])
	for _, k := range classes {
		weight.Data[k] = 1
	}
	params, err := losses.Boundary.Params(map[string]any{"activation": "none", "distance": "given"})
	return mapped{
		rounding: 8 * 0x1p-53 * largest(dist.Data), // of a mean in which signs differ
		loss:     losses.Boundary, params: params,
		in:      losses.Values{"prediction": probs, "distance": dist, "weight": weight},
		names:   map[string]string{"probs": "prediction"},
		outputs: map[string]losses.Reduction{"mean": losses.Mean, "sum": losses.Sum, "none": losses.None},
		reshape: func(output string, a losses.Array) losses.Array {
			if output != "none" {
				return a
			}
			return chosenClasses(a, classes)
		},
	}, err
}

// classIndices is the parameter idc, the classes that a loss is of.
func (c goldenCase) classIndices() ([]int, error) {
	settings, err := c.settings("idc")
	if err != nil {
		return nil, err
	}
	list, ok := settings["idc"].([]any)
	if !ok {
		return nil, fmt.Errorf("idc is %v", settings["idc"])
	}
	var classes []int
	for _, k := range list {
		at, _ := k.(float64)
		classes = append(classes, int(at))
	}
	return classes, nil
}

// chosenClasses takes some entries of axis 1.
func chosenClasses(a losses.Array, classes []int) losses.Array {
	outer, count, inner := split(a.Shape)
	shape := slices.Clone(a.Shape)
	shape[1] = len(classes)
	var data []float64
	for n := range outer {
		for _, k := range classes {
			data = append(data, a.Data[(n*count+k)*inner:(n*count+k+1)*inner]...)
		}
	}
	return losses.Array{Shape: shape, Data: data}
}

// mapHausdorff: the reference writes the map of the prediction, though not that of
// the target, into an integer array. What that changes is added to our loss, by our
// distance transform.
func mapHausdorff(c goldenCase) (mapped, error) {
	classes, err := c.classIndices()
	if err != nil {
		return mapped{}, err
	}
	probs, target := c.Inputs["probs"].array(), c.Inputs["target"].array()
	weight := losses.Zeros(probs.Shape[1:2])
	for _, k := range classes {
		weight.Data[k] = 1
	}
	loss := losses.Hausdorff
	params, err := loss.Params(map[string]any{"activation": "none", "masks": true, "sides": "inside"})
	if err != nil {
		return mapped{}, err
	}
	in := losses.Values{"prediction": probs, "target": target, "weight": weight}
	value, err := loss.Evaluate(in, params, losses.Mean)
	if err != nil {
		return mapped{}, err
	}
	gradient, err := loss.EvaluateGradient(in, params, losses.Mean, nil)
	if err != nil {
		return mapped{}, err
	}
	region := highest(probs)
	distance, err := losses.DistanceTransform.Evaluate(losses.Values{"mask": region}, losses.Params{}, losses.None)
	if err != nil {
		return mapped{}, err
	}
	slope := gradient["prediction"]
	_, count, inner := split(probs.Shape)
	terms := float64(len(probs.Data) / count * len(classes))
	for i, d := range distance.Data {
		k := i / inner % count
		off := probs.Data[i] - target.Data[i]
		lost := weight.Data[k] * (d*d - math.Trunc(d)*math.Trunc(d)) / terms
		value.Data[0] -= lost * off * off
		slope.Data[i] -= lost * 2 * off
	}
	return mapped{direct: &direct{
		outputs: map[string]losses.Array{"mean": value},
		grad:    losses.Values{"probs": slope},
	}}, nil
}

// highest is 1 at the highest of the classes of each position, else 0.
func highest(a losses.Array) losses.Array {
	outer, count, inner := split(a.Shape)
	mask := losses.Zeros(a.Shape)
	for i := range outer * inner {
		at := func(k int) int { return (i/inner*count+k)*inner + i%inner }
		top := 0
		for k := range count {
			if a.Data[at(k)] > a.Data[at(top)] {
				top = k
			}
		}
		mask.Data[at(top)] = 1
	}
	return mask
}
