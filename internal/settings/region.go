package settings

import "example.com/upload-router/internal/partition"

// keyRegion is the provider's key of the Region that everything is made in.
const keyRegion = "aws:region"

// exampleRegion is the Region of the examples.
const exampleRegion = "eu-central-1"

// checkRegion checks that the stack's Region can be one, by its form. Whether there is such a Region is left to AWS, which opens new ones.
func (l *loader) checkRegion() {
	if _, known := partition.OfRegion(l.region); known || l.region == "" {
		return
	}
	l.problems = append(l.problems, Problem{
		Key: keyRegion, Value: display(l.region), Rule: "must be a Region such as " + exampleRegion, Fix: setCommand(keyRegion, exampleRegion),
	})
	l.region = "" // of which nothing more can be told
}
