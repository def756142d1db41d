package main

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"os"
	"unicode/utf8"

	"github.com/onnxloss/onnxloss/losses"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

const (
	width  = 15 * vg.Centimeter
	height = 9 * vg.Centimeter
)

// points is how many values a curve is drawn through.
const points = 161

// draw writes a loss's figure as SVG.
func draw(loss *losses.Loss, path string) error {
	figure := loss.Figure
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	plotter.DefaultFont = plot.DefaultFont
	p := plot.New()
	p.X.Label.Text = figure.X
	p.Y.Label.Text = "loss"
	if loss.Head {
		p.Y.Label.Text = loss.Command()
	}
	p.BackgroundColor = color.White
	// The legend is on the right, but written from the left, because a reader's font
	// may be wider than the one it was laid out with.
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.XOffs = legendAt(figure.Curves)
	p.Legend.Padding = vg.Points(2)
	p.Add(plotter.NewGrid())
	for i, curve := range figure.Curves {
		xys, err := trace(loss, curve, figure.From, figure.To)
		if err != nil {
			return fmt.Errorf("curve %q: %w", curve.Label, err)
		}
		line, err := plotter.NewLine(xys)
		if err != nil {
			return fmt.Errorf("curve %q: %w", curve.Label, err)
		}
		line.Color, line.Dashes, line.Width = plotutil.Color(i), plotutil.Dashes(i), vg.Points(1.5)
		p.Add(line)
		if curve.Label != "" {
			p.Legend.Add(curve.Label, line)
		}
	}
	if len(figure.Curves) > 1 { // the curves stay below the legend
		p.Y.Max += (p.Y.Max - p.Y.Min) * (0.02 + 0.08*float64(len(figure.Curves)))
	}
	return save(p, path)
}

// save writes the plot with fonts that every system has, or one of the same widths.
func save(p *plot.Plot, path string) error {
	canvas, err := p.WriterTo(width, height, "svg")
	if err != nil {
		return err
	}
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return err
	}
	text := bytes.ReplaceAll(svg.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	return os.WriteFile(path, text, 0o644)
}

// legendAt leaves as much room on the right as the longest label takes.
func legendAt(curves []losses.Curve) vg.Length {
	const perLetter, rest = 0.21 * vg.Centimeter, 3 * vg.Centimeter // the line and both margins
	longest := 0
	for _, curve := range curves {
		longest = max(longest, utf8.RuneCountInString(curve.Label))
	}
	return max(0, min(width*3/5, width-rest-perLetter*vg.Length(longest)))
}

// trace evaluates the loss along a curve. Numbers that are not finite are left out.
func trace(loss *losses.Loss, curve losses.Curve, from, to float64) (plotter.XYs, error) {
	params, err := loss.Params(curve.Settings)
	if err != nil {
		return nil, err
	}
	reduction := losses.Sum
	if loss.Head {
		reduction = losses.None
	}
	var xys plotter.XYs
	for i := range points {
		x := from + (to-from)*float64(i)/(points-1)
		value, err := loss.Evaluate(curve.At(x), params, reduction)
		if err != nil {
			return nil, err
		}
		y := value.Data[len(value.Data)-1]
		if !math.IsNaN(y) && !math.IsInf(y, 0) {
			xys = append(xys, plotter.XY{X: x, Y: y})
		}
	}
	return xys, nil
}
