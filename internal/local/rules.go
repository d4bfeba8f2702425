package local

import (
	"errors"
	"fmt"
	"slices"
)

// stateDisabled is the state of a rule that matches nothing.
const stateDisabled = "DISABLED"

var errNoSuchRule = errors.New("there is no such rule")

// RuleEnabled says whether a rule matches events: as it is declared, or as [Router.SetRule] has it.
func (r *Router) RuleEnabled(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.disabled[name]
}

// SetRule enables a rule or disables it, as an operator does. It is an error if there is none of the name.
func (r *Router) SetRule(name string, enabled bool) error {
	if !r.HasRule(name) {
		return fmt.Errorf("%w: %s", errNoSuchRule, name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.disabled[name] = !enabled
	return nil
}

// HasRule says whether there is a rule.
func (r *Router) HasRule(name string) bool {
	return slices.ContainsFunc(r.rules, func(known rule) bool { return known.name == name })
}
