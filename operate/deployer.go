package operate

import (
	"cmp"
	"fmt"

	"example.com/upload-router/internal/deployer"
	"example.com/upload-router/internal/partition"
	"example.com/upload-router/internal/settings"
)

// DeployerOptions say for which stack [DeployerPolicy] is, and where.
type DeployerOptions struct {
	// Project and Stack are the names that the resources have in front. Default of Project: upload-router.
	Project, Stack string
	// Config is the stack's configuration without namespace, and with aws:region. Without a Region, the policy is for every Region of the
	// partition aws.
	Config map[string]string
	// AccountID is the account's twelve digits. Default: any, which comes to the account that the policy is in.
	AccountID string
	// EnableEventBridge is that [Stack.EnableEventBridge] is to be allowed, too. Default: it isn't.
	EnableEventBridge bool
	// Limit is how many characters a policy may have. Default: as many as a managed policy, [ManagedPolicyLimit].
	Limit int
}

// ManagedPolicyLimit is how many characters IAM takes for a managed policy, without white space.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const ManagedPolicyLimit = 6_144

// PolicyDocument is a policy of IAM, as JSON.
type PolicyDocument struct {
	// JSON is the document, indented.
	JSON string
	// Size is how many characters IAM counts.
	Size int
}

// DeployerPolicy gives the permissions that it takes to preview, deploy, refresh and destroy a stack: one document or, where one
// is longer than the limit, several that all have to be attached. The error matches [ErrInput] if the configuration is wrong.
func DeployerPolicy(options DeployerOptions) ([]PolicyDocument, error) {
	grants, err := deployerGrants(options)
	if err != nil {
		return nil, err
	}
	policies, err := deployer.Split(deployer.Statements(grants), cmp.Or(options.Limit, ManagedPolicyLimit))
	if err != nil {
		return nil, fmt.Errorf("writing the deployer's policy: %w", err)
	}
	documents := make([]PolicyDocument, len(policies))
	for i, p := range policies {
		documents[i] = PolicyDocument{JSON: p.String(), Size: p.Size()}
	}
	return documents, nil
}

// deployerGrants are the permissions that the declared stack takes.
func deployerGrants(options DeployerOptions) ([]deployer.Grant, error) {
	system, err := declare(options.Project, options.Stack, options.Config)
	if err != nil {
		return nil, err
	}
	at := deployer.Any
	if region := options.Config[keyRegion]; region != "" {
		own, _ := partition.OfRegion(region)
		at.Region, at.Partition = region, own.Name
	}
	if options.AccountID != "" {
		at.AccountID = options.AccountID
	}
	grants, err := deployer.Grants(system, at)
	if err != nil {
		return nil, fmt.Errorf("finding the deployer's permissions: %w", err)
	}
	if !options.EnableEventBridge {
		return grants, nil
	}
	loaded, err := loadSettings(cmp.Or(options.Project, settings.Namespace), options.Config)
	if err != nil {
		return nil, err
	}
	for _, bucket := range loaded.Buckets {
		grants = append(grants, deployer.EnableEventBridge(at, bucket))
	}
	return grants, nil
}
