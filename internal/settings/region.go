package settings

import "regexp"

// keyRegion is the provider's key of the Region that everything is made in.
const keyRegion = "aws:region"

// regionForm is the form of a Region's name: eu-central-1, us-gov-west-1, eusc-de-east-1. Whether there is such a Region is left to
// AWS, which opens new ones.
//
// https://docs.aws.amazon.com/general/latest/gr/rande.html
var regionForm = regexp.MustCompile(`^[a-z]{2,5}(?:-[a-z]+)+-[0-9]{1,2}$`)

// checkRegion checks that the stack's Region can be one.
func (l *loader) checkRegion() {
	if l.region == "" || regionForm.MatchString(l.region) {
		return
	}
	l.problems = append(l.problems, Problem{
		Key: keyRegion, Value: display(l.region), Rule: "must be a Region such as eu-central-1", Fix: setCommand(keyRegion, "eu-central-1"),
	})
	l.region = "" // of which nothing more can be told
}
