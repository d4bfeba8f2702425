package operate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"example.com/upload-router/internal/filter"
	"example.com/upload-router/internal/routemetric"
)

// Outputs are what the stack says is deployed: requirement A41's list in its order, with the globs of the keys that are taken, then where
// to look when something fails.
type Outputs struct {
	VPCID             string   `json:"vpcId"`
	SubnetIDs         []string `json:"subnetIds"`
	SecurityGroupID   string   `json:"securityGroupId"`
	ECRRepositoryURI  string   `json:"ecrRepositoryUri"`
	ECSClusterARN     string   `json:"ecsClusterArn"`
	TaskDefinitionARN string   `json:"taskDefinitionArn"`
	LambdaFunctionARN string   `json:"lambdaFunctionArn"`
	StateMachineARN   string   `json:"stateMachineArn"`
	BucketName        string   `json:"bucketName"`
	BucketNames       []string `json:"bucketNames,omitempty"`
	Keys              []string `json:"keys,omitempty"`
	RuleName          string   `json:"eventBridgeRuleName"`

	TopicARN           string `json:"topicArn"`
	DeadLetterQueueURL string `json:"deadLetterQueueUrl"`
	// PausedRuleName and PausedQueueURL are empty if an older version of the project was deployed.
	PausedRuleName string `json:"pausedRuleName,omitempty"`
	PausedQueueURL string `json:"pausedQueueUrl,omitempty"`
	// BackfillStateMachineARN and BackfillBucketName are empty if an older version of the project was deployed.
	BackfillStateMachineARN string `json:"backfillStateMachineArn,omitempty"`
	BackfillBucketName      string `json:"backfillBucketName,omitempty"`
	FunctionLogGroup        string `json:"functionLogGroup"`
	TaskLogGroup            string `json:"taskLogGroup"`

	routes         routes
	ledgerTable    string            // empty if an older version of the project was deployed
	bucketPolicies map[string]string // what those of buckets that are there must hold if what is processed is tagged, by their names
}

// listed are outputs as JSON has them.
type listed struct {
	plainOutputs

	Routes         routes            `json:"routes"`
	LedgerTable    string            `json:"ledgerTable,omitempty"`
	BucketPolicies map[string]string `json:"bucketPolicies,omitempty"`
}

// plainOutputs are [Outputs] without their methods.
type plainOutputs Outputs

// MarshalJSON writes the outputs so that [ParseOutputs] takes them.
func (o Outputs) MarshalJSON() ([]byte, error) {
	return json.Marshal(listed{
		plainOutputs: plainOutputs(o), Routes: o.routes, LedgerTable: o.ledgerTable, BucketPolicies: o.bucketPolicies,
	})
}

// UnmarshalJSON reads what [Outputs.MarshalJSON] and `pulumi stack output --json` write.
func (o *Outputs) UnmarshalJSON(text []byte) error {
	var read listed
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	*o = Outputs(read.plainOutputs)
	o.routes, o.ledgerTable, o.bucketPolicies = read.Routes, read.LedgerTable, read.BucketPolicies
	return nil
}

// ParseOutputs reads outputs as `pulumi stack output --json` writes them. The
// error matches [ErrNotDeployed] if one is missing that operating needs.
func ParseOutputs(text []byte) (Outputs, error) {
	var o Outputs
	if err := json.Unmarshal(text, &o); err != nil {
		return Outputs{}, fmt.Errorf("%w: reading the stack's outputs: %w", ErrInput, err)
	}
	var missing []string
	for _, needed := range []struct{ name, value string }{
		{"stateMachineArn", o.StateMachineARN}, {"bucketName", o.BucketName}, {"eventBridgeRuleName", o.RuleName},
		{"deadLetterQueueUrl", o.DeadLetterQueueURL}, {"functionLogGroup", o.FunctionLogGroup}, {"taskLogGroup", o.TaskLogGroup},
	} {
		if needed.value == "" {
			missing = append(missing, needed.name)
		}
	}
	if len(o.routes) == 0 {
		missing = append(missing, "routes")
	}
	if len(missing) > 0 {
		return Outputs{}, fmt.Errorf("%w: the stack has no output %s", ErrNotDeployed, strings.Join(missing, ", "))
	}
	if _, err := o.machine(); err != nil {
		return Outputs{}, err
	}
	if _, err := filter.ParseKeys(o.Keys); err != nil {
		return Outputs{}, fmt.Errorf("%w: reading the stack's outputs: %w", ErrInput, err)
	}
	return o, nil
}

// outputsOf are outputs by their names, as [ParseOutputs] has them.
func outputsOf(all map[string]any) (Outputs, error) {
	text, err := json.Marshal(all)
	if err != nil {
		return Outputs{}, fmt.Errorf("%w: reading the stack's outputs: %w", ErrInput, err)
	}
	return ParseOutputs(text)
}

// In are the outputs of who deals with another one of the buckets than the first. The error matches [ErrInput] if there is no such.
func (o Outputs) In(bucket string) (Outputs, error) {
	if !slices.Contains(o.buckets(), bucket) {
		return o, fmt.Errorf("%w: the system takes uploads of %s, and not of %s", ErrInput, strings.Join(o.buckets(), ", "), bucket)
	}
	o.BucketName = bucket
	return o, nil
}

// buckets are all that uploads are in.
func (o Outputs) buckets() []string {
	if len(o.BucketNames) > 0 {
		return o.BucketNames
	}
	return []string{o.BucketName}
}

// filter is which keys are taken.
func (o Outputs) filter() filter.Keys {
	keys, _ := filter.ParseKeys(o.Keys) // ParseOutputs has looked
	return keys
}

// machine is the state machine's ARN in parts. It says which Region and account all the rest is in.
func (o Outputs) machine() (arn.ARN, error) {
	parsed, err := arn.Parse(o.StateMachineARN)
	if err != nil || parsed.Service != "states" || parsed.Region == "" {
		return arn.ARN{}, fmt.Errorf("%w: the output stateMachineArn is %q, which is no ARN of a state machine", ErrInput, o.StateMachineARN)
	}
	return parsed, nil
}

// machines are the names of the state machines that process uploads.
func (o Outputs) machines() []string {
	names := []string{routemetric.StateMachine(o.StateMachineARN)}
	if o.BackfillStateMachineARN != "" {
		names = append(names, routemetric.StateMachine(o.BackfillStateMachineARN))
	}
	return names
}

// Region is the Region that the system is deployed in.
func (o Outputs) Region() string {
	parsed, _ := o.machine() // ParseOutputs has looked
	return parsed.Region
}

// AccountID is the account that the system is deployed in.
func (o Outputs) AccountID() string {
	parsed, _ := o.machine()
	return parsed.AccountID
}

// Output is an output with its name for people.
type Output struct {
	// Label is what it is, Value its value, empty if the stack has none: there is no repository with an image of one's own.
	Label string `json:"label"`
	Value string `json:"value"`
}

// List is the summary of requirement A41, in its order.
func (o Outputs) List() []Output {
	return []Output{
		{"VPC", o.VPCID},
		{"Subnets", strings.Join(o.SubnetIDs, ", ")},
		{"Security group", o.SecurityGroupID},
		{"ECR repository", o.ECRRepositoryURI},
		{"ECS cluster", o.ECSClusterARN},
		{"Task definition", o.TaskDefinitionARN},
		{"Lambda function", o.LambdaFunctionARN},
		{"State machine", o.StateMachineARN},
		{"Bucket", strings.Join(o.buckets(), ", ")},
		{"EventBridge rule", o.RuleName},
		{"Ledger's table", o.ledgerTable},
		{"Topic", o.TopicARN},
		{"Dead-letter queue", o.DeadLetterQueueURL},
		{"Paused uploads", o.PausedQueueURL},
		{"Backfills", o.BackfillStateMachineARN},
		{"Backfills' bucket", o.BackfillBucketName},
		{"Function's logs", o.FunctionLogGroup},
		{"Task's logs", o.TaskLogGroup},
	}
}
