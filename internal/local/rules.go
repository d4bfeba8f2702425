package local

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// stateDisabled is the state of a rule that matches nothing.
const stateDisabled = "DISABLED"

var errNoSuchRule = errors.New("there is no such rule")

// ruleState is how a rule was set at last.
type ruleState struct {
	enabled  bool
	before   bool      // how it was until then
	followed time.Time // from when on events go by it
}

// RuleEnabled says how a rule is: as it is declared, or as [Router.SetRule] has it.
func (r *Router) RuleEnabled(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ruleStates[name].enabled
}

// ruleMatches says whether events go to a rule that they match.
func (r *Router) ruleMatches(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := r.ruleStates[name]
	if time.Now().Before(state.followed) {
		return state.before
	}
	return state.enabled
}

// SetRule enables a rule or disables it, as an operator does; see [Options.RulesFollow]. It is an error if there is none of the name.
func (r *Router) SetRule(name string, enabled bool) error {
	if !r.HasRule(name) {
		return fmt.Errorf("%w: %s", errNoSuchRule, name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	state := r.ruleStates[name]
	if state.enabled == enabled {
		return nil // what follows isn't put off
	}
	changed := ruleState{enabled: enabled, before: state.enabled}
	if r.options.RulesFollow != nil {
		now := time.Now()
		if now.Before(state.followed) {
			changed.before = state.before
		}
		changed.followed = now.Add(r.options.RulesFollow())
	}
	r.ruleStates[name] = changed
	return nil
}

// HasRule says whether there is a rule.
func (r *Router) HasRule(name string) bool {
	return slices.ContainsFunc(r.rules, func(known rule) bool { return known.name == name })
}
