"""Write the ONNX graphs that PyTorch's exporter makes of losses.

    python3 export.py FOLDER

The losses are PyTorch's and torchvision's own functions where they have one, and
written in the plain way where they do not.
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision


class Loss(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, logits, target):
        return self.function(logits, target)


def sigmoid_cross_entropy(x, y):
    return F.binary_cross_entropy_with_logits(x, y, reduction="none")


def sigmoid_focal(x, y):
    return torchvision.ops.sigmoid_focal_loss(x, y, alpha=0.25, gamma=2, reduction="none")


def sigmoid_focal_star(x, y):
    gamma, beta = 2.0, 1.0
    return -F.logsigmoid(gamma * x * (2 * y - 1) + beta) / gamma


def softmax_cross_entropy(x, t):
    return F.cross_entropy(x, t, reduction="none")


def softmax_cross_entropy_gather(x, t):
    log_p = F.log_softmax(x, dim=1)
    return -log_p.gather(1, t.unsqueeze(1)).squeeze(1)


def softmax_focal(x, t):
    log_p = F.log_softmax(x, dim=1).gather(1, t.unsqueeze(1)).squeeze(1)
    return -((1 - log_p.exp()) ** 2.0) * log_p


def giou(x, t):
    return torchvision.ops.generalized_box_iou_loss(x, t)


def ciou(x, t):
    return torchvision.ops.complete_box_iou_loss(x, t)


def generalized_dice(x, t):
    p = F.softmax(x, dim=1)
    y = F.one_hot(t, x.shape[1]).permute(0, 3, 1, 2).to(x.dtype)
    size = y.sum((2, 3))
    w = torch.where(size > 0, 1 / size**2, torch.zeros_like(size))
    return 1 - 2 * (w * (p * y).sum((2, 3))).sum(1) / (w * (p + y).sum((2, 3))).sum(1)


def gram(x):
    n, c, h, w = x.shape
    f = x.reshape(n, c, h * w)
    return f @ f.transpose(1, 2) / (c * h * w)


def style(x, s):
    return ((gram(x) - gram(s)) ** 2).sum((1, 2))


def save(path, function, logits, target, axes):
    torch.onnx.export(
        Loss(function),
        (logits, target),
        str(path),
        opset_version=17,
        dynamo=False,
        input_names=["logits", "target"],
        output_names=["loss"],
        dynamic_axes=axes,
    )


def main(folder):
    folder = Path(folder)
    x, y = torch.zeros(4), torch.zeros(4)
    vector = {name: {0: "n"} for name in ["logits", "target", "loss"]}
    for f in [sigmoid_cross_entropy, sigmoid_focal, sigmoid_focal_star]:
        save(folder / f"{f.__name__}.onnx", f, x, y, vector)

    rows = {"logits": {0: "n", 1: "c"}, "target": {0: "n"}, "loss": {0: "n"}}
    image = {"logits": {0: "n", 1: "c", 2: "h", 3: "w"}}
    image["target"] = image["loss"] = {0: "n", 1: "h", 2: "w"}
    for f in [softmax_cross_entropy, softmax_cross_entropy_gather, softmax_focal]:
        save(folder / f"{f.__name__}.onnx", f, torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64), rows)
        logits, target = torch.zeros(2, 3, 4, 5), torch.zeros(2, 4, 5, dtype=torch.int64)
        save(folder / f"{f.__name__}_2d.onnx", f, logits, target, image)

    boxes = torch.tensor([[0.0, 0, 2, 2], [1, 1, 3, 4]])
    for f in [giou, ciou]:
        save(folder / f"{f.__name__}.onnx", f, boxes, boxes + 1, vector)
    logits, target = torch.zeros(2, 3, 4, 5), torch.zeros(2, 4, 5, dtype=torch.int64)
    per_sample = {**image, "loss": {0: "n"}}
    save(folder / "generalized_dice.onnx", generalized_dice, logits, target, per_sample)
    per_sample["target"] = {0: "s", 1: "c", 2: "u", 3: "v"}
    save(folder / "style.onnx", style, torch.zeros(2, 8, 4, 5), torch.zeros(1, 8, 6, 5), per_sample)


main(sys.argv[1])
