package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagForms are how the value of a flag is written, by its type.
var flagForms = map[string]string{
	"float64": "a number such as 12.5", "int": "a whole number such as 8",
	"duration": "a time such as 90s, 10m or 2h", "bool": "true or false",
}

// flagError says how a value is written that the flag doesn't take, in place of what Go's parser says of it.
func flagError(_ *cobra.Command, err error) error {
	wrong, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	form, known := flagForms[wrong.GetFlag().Value.Type()]
	if !known {
		return err
	}
	return fmt.Errorf("%w: --%s %q: write %s", errFlag, wrong.GetFlag().Name, wrong.GetValue(), form)
}
