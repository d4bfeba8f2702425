// Package scan looks for what a security review would object to, in the declared resources of a stack: by the checkers tfsec and
// trivy, and by rules of its own that neither has. What is found and is meant stands in exceptions.go, with its reason; anything
// else that is high or critical fails.
package scan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/internal/build"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/stackfile"
	"example.com/upload-router/internal/terraform"
	"example.com/upload-router/stack"
)

// Region is where the stacks are evaluated for; no finding depends on it.
const Region = "eu-central-1"

// Finding is something that a checker objects to.
type Finding struct {
	// Checker is who found it: tfsec, trivy or rules.
	Checker string
	// ID is the checker's name of the rule, such as AVD-AWS-0057.
	ID string
	// Severity is LOW, MEDIUM, HIGH or CRITICAL.
	Severity string
	// Resource is Terraform's address of the resource.
	Resource string
	// Message says what is wrong with it.
	Message string
}

// Serious says whether it may not stay without an exception.
func (f Finding) Serious() bool { return f.Severity == "HIGH" || f.Severity == "CRITICAL" }

// String is the finding in a line.
func (f Finding) String() string {
	return fmt.Sprintf("%-8s %s %s: %s: %s", f.Severity, f.Checker, f.ID, f.Resource, f.Message)
}

// Declare evaluates a stack by its file, without building anything.
func Declare(root, name string) (*declared.System, error) {
	config, err := stackfile.Read(root, name)
	if err != nil {
		return nil, fmt.Errorf("reading the stack %s: %w", name, err)
	}
	system, err := declared.Evaluate(
		func(ctx *pulumi.Context) error { return stack.Declare(ctx, build.Placeholders) },
		declared.Options{Stack: name, Config: config, Region: Region})
	if err != nil {
		return nil, fmt.Errorf("declaring the stack %s: %w", name, err)
	}
	return system, nil
}

// Checker finds fault with the Terraform files in a folder.
type Checker func(ctx context.Context, folder string) ([]Finding, error)

// Tfsec is the checker tfsec, at a path.
func Tfsec(path string) Checker {
	return func(ctx context.Context, folder string) ([]Finding, error) {
		out, err := output(ctx, path, "--format", "json", "--no-color", "--soft-fail", folder)
		if err != nil {
			return nil, err
		}
		return parseTfsec(out)
	}
}

// Trivy is the checker `trivy config` with the checks that are built into it, at a path. It downloads nothing.
func Trivy(path string) Checker {
	return func(ctx context.Context, folder string) ([]Finding, error) {
		cache, err := os.MkdirTemp("", "trivy-*")
		if err != nil {
			return nil, fmt.Errorf("making a cache for trivy: %w", err)
		}
		defer func() { _ = os.RemoveAll(cache) }()
		out, err := output(ctx, path, "config", "--format", "json", "--quiet", "--skip-check-update", "--cache-dir", cache, folder)
		if err != nil {
			return nil, err
		}
		return parseTrivy(out)
	}
}

func output(ctx context.Context, path string, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, path, args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("running %s: %w: %s", filepath.Base(path), err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return nil, fmt.Errorf("running %s: %w", path, err)
	}
	return out, nil
}

func parseTfsec(text []byte) ([]Finding, error) {
	var report struct {
		Results []struct {
			ID          string `json:"rule_id"`
			Severity    string `json:"severity"`
			Resource    string `json:"resource"`
			Description string `json:"description"`
		} `json:"results"`
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return nil, fmt.Errorf("reading what tfsec says: %w", err)
	}
	findings := make([]Finding, len(report.Results))
	for i, r := range report.Results {
		findings[i] = Finding{"tfsec", r.ID, r.Severity, r.Resource, r.Description}
	}
	return findings, nil
}

func parseTrivy(text []byte) ([]Finding, error) {
	var report struct {
		Results []struct {
			Misconfigurations []struct {
				ID            string
				Severity      string
				Message       string
				CauseMetadata struct{ Resource string }
			}
		}
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return nil, fmt.Errorf("reading what trivy says: %w", err)
	}
	var findings []Finding
	for _, result := range report.Results {
		for _, m := range result.Misconfigurations {
			findings = append(findings, Finding{"trivy", m.ID, m.Severity, m.CauseMetadata.Resource, m.Message})
		}
	}
	return findings, nil
}

// errBlind is for a checker that says nothing of what it must object to.
var errBlind = errors.New("it finds no fault with a bucket without encryption and a queue without: it doesn't see the resources")

// Check gives what the checkers and the own rules find in a system. Every checker must first find fault with a weakened copy of
// the system: one that reads the files wrongly has nothing to object to.
func Check(ctx context.Context, system *declared.System, checkers map[string]Checker) ([]Finding, error) {
	findings, err := Violations(system)
	if err != nil {
		return nil, err
	}
	for name, checker := range checkers {
		control, err := findIn(ctx, weakened(system), checker)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, kind := range []string{"aws_s3_bucket", "aws_sqs_queue"} {
			if !slices.ContainsFunc(control, func(f Finding) bool { return f.Serious() && strings.HasPrefix(f.Resource, kind+".") }) {
				return nil, fmt.Errorf("%s: %w: %v", name, errBlind, control)
			}
		}
		found, err := findIn(ctx, system, checker)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		findings = append(findings, found...)
	}
	slices.SortFunc(findings, func(a, b Finding) int { return strings.Compare(a.String(), b.String()) })
	return findings, nil
}

func findIn(ctx context.Context, system *declared.System, checker Checker) ([]Finding, error) {
	text, err := terraform.Write(system, Region)
	if err != nil {
		return nil, fmt.Errorf("writing the resources for it: %w", err)
	}
	folder, err := os.MkdirTemp("", "scan-*")
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := os.WriteFile(filepath.Join(folder, "main.tf"), text, 0o600); err != nil {
		return nil, fmt.Errorf("writing the resources for it: %w", err)
	}
	return checker(ctx, folder)
}

// weakened is a system that no checker may let pass.
func weakened(system *declared.System) *declared.System {
	out := &declared.System{}
	for _, r := range system.Resources {
		switch r.Type {
		case declared.TypeBucketEncryption,
			declared.TypeBucketPublicAccessBlock:
			continue
		case declared.TypeQueue:
			r.Inputs = map[string]any{}
		}
		out.Resources = append(out.Resources, r)
	}
	return out
}
