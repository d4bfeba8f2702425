package cli

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/upload-router/operate"
)

// flagForms are how the value of a flag is written, by its type.
var flagForms = map[string]string{
	"float64": "a number such as 12.5", "int": "a whole number such as 8", "duration": "a time such as 90s, 10m, 2h or 7d",
	"bool": "true or false",
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

// refuseEmpty refuses a flag or an argument that is there and empty: it comes of a variable that isn't set, and would mean all that there
// is, or another stack.
func refuseEmpty(cmd *cobra.Command, args []string) error {
	if cmd.DisableFlagParsing {
		return nil // cobra's own, of which a shell asks what could be here
	}
	var empty error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" {
			empty = fmt.Errorf("%w: --%s is empty: give it a value, or leave it out", errFlag, f.Name)
		}
	})
	if slices.Contains(args, "") {
		return fmt.Errorf("%w: an argument is empty: give it a value, or leave it out", errFlag)
	}
	return empty
}

// needs takes one argument at least, and so many at most. What it is says who gives none.
func needs(what string, most int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return fmt.Errorf("%w: name %s", operate.ErrInput, what)
		case len(args) > most:
			return fmt.Errorf("%w: %q is too much: it takes %s, and no more", operate.ErrInput, args[most], what)
		}
		return nil
	}
}
