package main

import (
	"fmt"
	"io"
)

// report is what the example finds out.
type report struct {
	experiments []experiment
}

func (r report) write(to io.Writer) {
	fmt.Fprintf(to, "\nThe last layer of a classifier, trained on %d images. %d labels are wrong.\n", images, wrong)
	fmt.Fprintf(to, "%d steps each, the same rate; judged on clean images; means of %d draws.\n", steps, draws)
	cases, worst := 0, 0.0
	for _, x := range r.experiments {
		fmt.Fprintf(to, "\nWrong labels are %s.\n\n", x.noise)
		fmt.Fprintf(to, "  %-23s%9s%10s%12s%20s\n", "trained with", "accuracy", "at best", "confidence", "wrong labels found")
		for _, o := range x.outcomes {
			fmt.Fprintf(to, "  %-23s%8.1f%%%9.1f%%%11.1f%%%19.0f%%\n", o.loss.Command(), 100*o.accuracy, 100*o.best, 100*o.confidence, 100*o.found)
			cases += o.cases
			worst = max(worst, o.worst)
		}
	}
	fmt.Fprintf(to, `
Wrong labels found: of the %d labels with the highest losses so many are wrong.
Wrong labels that are spread evenly nearly cancel out, and matter little to
either loss on frozen features. Those that agree are learnt with cross-entropy;
the bi-tempered loss gives them up, and its values tell which they are.
At best: the highest accuracy during the training, as only clean images tell.
Confidence is the mean of the highest probability, by tempered softmax with the
temperature of the training, which is 1 for cross-entropy.

Probabilities differ from the reference by at most %.1e; %d cases verified.
`, wrong, worst, cases)
}
