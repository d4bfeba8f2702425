package settings

import "upload-router/internal/partition"

// keyRegion is the provider's key of the Region that everything is made in.
const keyRegion = "aws:region"

// checkRegion checks that the stack's Region can be one, by its form. Whether there is such a Region is left to AWS, which opens new ones.
func (l *loader) checkRegion() {
	if _, known := partition.OfRegion(l.region); known || l.region == "" {
		return
	}
	l.problems = append(l.problems, Problem{
		Key: keyRegion, Value: display(l.region), Rule: "must be a Region such as eu-central-1", Fix: setCommand(keyRegion, "eu-central-1"),
	})
	l.region = "" // of which nothing more can be told
}
