package models

// Histories is the table of the standard's operators.
var Histories = histories

// Breakings lists the opsets that break nodes of an operator, and whether they spare
// some.
func Breakings(op string) map[int]bool {
	found := map[int]bool{}
	for _, b := range breakings[op] {
		found[b.opset] = b.spare != nil
	}
	return found
}
