package losses

// Composite is a loss that needs more than tensors: a feature network is part of
// it. It has no reference of its own; its terms are losses of the catalogue, and its
// value is their weighted sum.
type Composite struct {
	Name    string // on the command line
	Summary string // one line
	Formula string // plain text
	Meaning string // what the value means, and what to watch out for
	Paper   string
	Example string // a command line that makes one
}

// Composites lists them.
func Composites() []Composite { return []Composite{perceptual} }

var perceptual = Composite{
	Name:    "perceptual",
	Summary: "perceptual loss: images compared as a trained network sees them, the network inside the graph",
	Formula: `φ_l(x) = layer l of the feature network for the normalized image (x / scale - mean) / std
loss = Σ_l content_l · feature-reconstruction(φ_l(prediction), φ_l(target))
     + Σ_l style_l   · style(φ_l(prediction), φ_l(style))
     + tv · total-variation(prediction)`,
	Meaning: `How far an image is from another one in what it shows (content layers) and in how it
is painted (style layers), rather than pixel by pixel. The network is any ONNX file with one
image as input; its weights are in the graph once, although it looks at two or three images.
Each term is an output of its own beside the total. Early layers keep details, later ones
arrangement; weights belong to a network, a layer and a normalization, and carry over to no
other. Check that images are in the range and the channel order that the network was trained
with: a wrong normalization raises no error.`,
	Paper: "Johnson, Alahi, Fei-Fei: Perceptual Losses for Real-Time Style Transfer and Super-Resolution, ECCV 2016, arXiv:1603.08155",
	Example: `onnxloss perceptual --network vgg16.onnx -o loss.onnx \
      --content relu2_2 --normalize imagenet`,
}
