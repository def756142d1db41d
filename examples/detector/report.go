package main

import (
	"fmt"
	"io"
	"slices"
)

// report is what the example finds out.
type report struct {
	labels []int64
	terms  map[string][]float64 // unreduced, by part
	worst  float64              // the largest difference of a term from the reference
	cases  int                  // verified
}

// object is a cell with an object in it.
type object struct {
	iou, giou                    float64 // GIoU's loss
	scored, balancedScored       float64 // the classification loss of the true class
	localized, balancedLocalized float64 // the smooth L1 of the four corners
}

func (r report) objects() []object {
	var objects []object
	for cell, label := range r.labels {
		if label < 0 {
			continue
		}
		class := cell*classes + int(label)
		o := object{
			iou:            1 - r.terms["IoU"][cell],
			giou:           r.terms["GIoU"][cell],
			scored:         r.terms["classification"][class],
			balancedScored: r.terms["balanced classification"][class],
		}
		for corner := range 4 {
			o.localized += r.terms["localization"][cell*4+corner]
			o.balancedLocalized += r.terms["balanced localization"][cell*4+corner]
		}
		objects = append(objects, o)
	}
	return objects
}

// group is objects with similar IoU; the numbers are sums.
type group struct {
	count int
	object
}

func (g *group) add(o object) {
	g.count++
	g.iou += o.iou
	g.giou += o.giou
	g.scored += o.scored
	g.balancedScored += o.balancedScored
	g.localized += o.localized
	g.balancedLocalized += o.balancedLocalized
}

// groups sorts objects by IoU into parts of the same size, and adds up all of them.
func groups(objects []object, count int) (parts []group, all group) {
	objects = slices.Clone(objects)
	slices.SortFunc(objects, func(a, b object) int {
		if a.iou < b.iou {
			return -1
		}
		return 1
	})
	parts = make([]group, count)
	for i, o := range objects {
		parts[i*count/len(objects)].add(o)
		all.add(o)
	}
	return parts, all
}

func (r report) write(to io.Writer) {
	parts, all := groups(r.objects(), 4)
	fmt.Fprintf(to, "\nThe %d objects of %d cells, sorted by how well their box fits, in four parts.\n", all.count, len(r.labels))
	fmt.Fprint(to, "Weight is what the balanced loss multiplies the plain one with.\n\n")
	fmt.Fprintf(to, "  %7s%7s%10s%19s%19s\n", "", "", "", "classification", "localization")
	fmt.Fprintf(to, "  %7s%7s%10s%12s%7s%12s%7s\n", "objects", "IoU", "GIoU loss", "mean", "weight", "mean", "weight")
	for _, g := range append(parts, all) {
		n := float64(g.count)
		fmt.Fprintf(to, "  %7d%7.3f%10.4f%12.4f%7.2f%12.4f%7.2f\n", g.count, g.iou/n, g.giou/n,
			g.scored/n, g.balancedScored/g.scored, g.localized/n, g.balancedLocalized/g.localized)
	}
	fmt.Fprintf(to, `
Balanced classification moves loss from badly to well localized objects and
keeps their sum: %.4f before, %.4f after. Balanced localization takes
away only, and most where boxes are far off.
`, all.scored, all.balancedScored)
	fmt.Fprintf(to, "The engine's terms differ from the float64 reference by at most %.1e;\n", r.worst)
	fmt.Fprintf(to, "%d further cases verified.\n", r.cases)
}
