package losses

import "math"

// relativeBound allows each term of a loss the same relative error.
func relativeBound(value func(Values, Params) (Terms, error), in Values, p Params, relative float64) (Array, error) {
	terms, err := value(in, p)
	if err != nil {
		return Array{}, err
	}
	bound := Zeros(terms.Loss.Shape)
	for i, loss := range terms.Loss.Data {
		bound.Data[i] = relative * math.Abs(loss)
	}
	return bound, nil
}

// smallestNormal is that of the type whose spacing at 1 is eps.
func smallestNormal(eps float64) float64 {
	if eps < 0x1p-23 {
		return 0x1p-1022
	}
	return 0x1p-126
}
