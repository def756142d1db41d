// Package verify proves that what export writes computes what package losses
// defines: every loss, in every form, element type, opset and reduction, on every
// engine, against the float64 reference, within the error that the loss states.
//
//	report, err := verify.Run(ctx, verify.Options{})
//	report.WriteTable(os.Stdout)
//	os.Exit(report.ExitCode())
//
// Run goes through the catalogue; File takes one model that export or attach wrote
// and reads from its metadata what it has to hold.
//
// # What is run
//
// Every combination of loss, form, element type and opset is run with the
// parameters' defaults, no optional input, and predictions of the lowest rank. At the
// opsets where the operators change (9 to 13, 17, 18 and the newest) that is in
// every reduction (the half types, which compute in float32, in one) and on every
// input; at the others in one reduction and on every third input, in turn.
//
// At the former the defaults are also run with all optional inputs, which broadcast
// in several ways, with int32 labels, and at every rank, in one reduction for each
// form. Each further value of a parameter (Param.Try) is run by itself, where the
// loss accepts it beside the defaults, at two of these opsets, in one rank and one
// reduction, in turn: none of them interacts with the parameters' values, and the
// forms of operators are tested by themselves. Where at most two opsets are asked for
// nothing is thinned.
//
// Each model then sees random, structured, extreme and empty inputs, in several
// sizes. An input depends on the seed and on what it is for, never on what else is
// run: any failure shows again in a run of its own.
//
// # What is allowed
//
// Inputs are rounded to the element type first, and the reference sees the rounded
// numbers. A term of the unreduced loss may be off by what Loss.Bound allows for the
// computing type (float32 for the half types), by one rounding to a half type, and
// by a few of the computing type's smallest normal numbers times the largest weight,
// because engines may flush smaller ones to zero. A sum may be off by the sum of
// that and by n·eps·Σ|term|, whatever the order it is summed in; a mean by the same
// over the sum of the weights, and its own rounding. A reference that rounds to
// infinity in the element type must give that infinity. A NaN passes only where the
// reference is NaN.
//
// Reports also give errors in ULP of the result. Where a loss near 0 is a difference
// of larger numbers, as log p is for a sure and right prediction, they are large by
// nature: the bound is absolute there, and the fraction of it is what counts.
package verify
