package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.com/upload-router/internal/authz"
	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/scan"
	"example.com/upload-router/operate"
)

// reasons say why a statement is there, by its Sid. One without a reason is an
// error: a right that nobody can give a reason for is not granted.
var reasons = map[string]string{
	"AdministerKey":                 "IAM policies may govern the key; without it nobody could change or delete it",
	"PublishAlarms":                 "alarms notify people",
	"EncryptAlarmNotices":           "alarms notify people by a topic that is encrypted with the key",
	"DecryptExecutions":             "the sweep reads what the encrypted executions that are gone were started with",
	"DecryptLedger":                 "DynamoDB reads and writes the encrypted table for whoever may use it",
	"FindLostUploads":               "the sweep finds what has been running for longer than it can",
	"FollowExecutions":              "the sweep sees how an execution ended, and for which upload it was",
	"LambdaECRImageRetrievalPolicy": "Lambda fetches the image that the function runs, for this stack's function only",

	"ListExecutions":             "the sweep sees which executions still run: who isn't among them has no task slot",
	"ReadLedger":                 "the sweep sees who has task slots, how far it got, and whether what the index calls running is lost",
	"FindMapRuns":                "the sweep finds the children of a backfill, which may have task slots, or have ended with it",
	"SweepEndedBackfills":        "the sweep runs for each backfill that failed, timed out or was stopped",
	"LookUpUploads":              "a backfill looks up what is there of an object, and gets no key to what is in it",
	"ListUploads":                "a backfill lists the bucket, and is told by S3 that an object is gone",
	"ReadLists":                  "a backfill reads the list of what it is to process",
	"WriteResults":               "a backfill writes what became of its files, in parts, to its own folder of its own bucket",
	"DecryptLists":               "S3 decrypts the list that a backfill reads, and the parts of its results, of this bucket only",
	"EncryptResults":             "S3 encrypts what a backfill writes, to this bucket only",
	"StartChildren":              "a backfill starts an execution for each of its files, of this state machine only",
	"FollowChildren":             "a backfill sees how its children end, and stops them when it is stopped",
	"RedriveChildren":            "a backfill that is redriven goes on with what failed or was stopped",
	"CountMapRuns":               "the notice of a backfill's end says how many of its files were processed",
	"StartBackfills":             "EventBridge Scheduler starts backfills at their time",
	"SweepBySchedule":            "the sweep runs every two minutes, and finds what no event named",
	"SweepEndedExecutions":       "the sweep runs for each execution that timed out or was stopped",
	"UseLedger":                  "what becomes of each upload is written down, which keeps two executions from processing one",
	"ReadUploadTags":             "the worker keeps the other tags of the version that it tags",
	"TagUploads":                 "the worker tags the version with what became of it, for bucket policies and lifecycle rules",
	"DecryptUploads":             "the processor reads what S3 decrypts for it, of the uploads alone",
	"ReadSecrets":                "the worker reads the secrets that the processor is given",
	"ReadParameters":             "the worker reads the parameters that the processor is given",
	"DecryptSecrets":             "Secrets Manager decrypts these secrets for the worker",
	"DecryptParameters":          "Systems Manager decrypts these parameters for the worker",
	"WriteOutputs":               "the processor writes what it makes of an upload, or takes back what it has begun, and reads none of it",
	"EncryptOutputs":             "S3 encrypts what the processor writes, in one request or in parts, to this bucket only",
	"EncryptExecutions":          "Step Functions encrypts the definition, and what the executions take in and give",
	"EncryptNotices":             "the state machine and the sweep publish to the encrypted topic",
	"DeliverExecutionLogs":       "Step Functions sets up the delivery of what it logs of the executions",
	"EncryptExecutionLogs":       "Step Functions encrypts what it logs on its way to CloudWatch",
	"PublishStatusChanges":       "EventBridge notifies people of executions that ended by their time-out or by hand; AWS takes no condition",
	"EncryptStatusChangeNotices": "EventBridge notifies people of these ends by a topic that is encrypted with the key",
	"DecryptExecutionLogs":       "CloudWatch decrypts what Step Functions logs",
	"SendTraces":                 "what ran for a file, and how long, is seen in X-Ray",
	"SendEvents":                 "EventBridge stores the events of uploads while these are paused",
	"SendUndeliveredEvents":      "EventBridge stores what it could not deliver",
	"DescribeLogGroups":          "the connections in the VPC are logged, which takes a look at the log groups",
	"DescribeAndStopTasks":       "Step Functions looks at the task it waits for, and stops it when the execution ends first",
	"PullImageLayers":            "ECS fetches the image, whose layers ECR stores in S3",
	"PassTaskRoles":              "the task gets its two roles, and no service but ECS can",
	"ManageTaskEventsRule":       "Step Functions makes the rule by which it learns that a task ended",
	"EncryptLogGroups":           "CloudWatch Logs encrypts this stack's log groups",
	"LogInToRegistry":            "ECS gets the registry's token, which is not for one repository",
	"Notify":                     "people are notified of processed and failed files, and of those that are lost",
	"ProcessLargeFiles":          "large files go to this task, in this cluster",
	"ProcessSmallFiles":          "small files go to this function",
	"PullImage":                  "ECS fetches the image",
	"EncryptUndeliveredEvents":   "EventBridge writes to the encrypted queues what it could not deliver",
	"ReadUploads":                "the processor reads the version that the event names, or the object if it names none",
	"DescribeExecutions":         "a task is traced with its execution",
	"AssumeRole":                 "the service takes the role, for this account's resources only",
	"StartExecutions":            "each upload starts an execution",
	"TagTasks":                   "a task has the stack's tags from its beginning on, by which its cost is told apart",
	"SendTaskResult":             "the task reports to Step Functions that it works, and how it ended",
	"WriteFlowLogs":              "the connections in the VPC are logged",
	"WriteLogs":                  "what the function or the task logs is stored",
}

// securityFile is the document, whose text is kept.
const securityFile = "docs/security.md"

// security is the document with its generated parts.
func security(root string, system, more *declared.System, deployers []deployerPolicy) ([]byte, error) {
	document, err := os.ReadFile(filepath.Join(root, securityFile))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", securityFile, err)
	}
	all, err := permissions(system)
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", securityFile, err)
	}
	added, err := permissions(more)
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", securityFile, err)
	}
	added.rows = slices.DeleteFunc(added.rows, func(r row) bool {
		return slices.ContainsFunc(all.rows, func(other row) bool { return other.key == r.key })
	})
	for name, part := range map[string]string{
		"permissions": all.String(), "permissions that are switched on": added.String(), "required": required(), "exceptions": scan.Markdown(),
		"deployers": deployerTable(deployers), "operators": operators(),
	} {
		if document, err = replacePart(document, name, part); err != nil {
			return nil, fmt.Errorf("writing %s: %w", securityFile, err)
		}
	}
	return document, nil
}

// operators is the table of what the commands ask with.
func operators() string {
	var out strings.Builder
	out.WriteString("| permission | on | with a customer managed key | for |\n|---|---|---|---|\n")
	for _, p := range operate.Permissions() {
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", p.Action, p.On, codes(p.Key), codes(p.Commands))
	}
	return out.String()
}

// codes are names in a cell.
func codes(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "`" + strings.Join(names, "`, `") + "`"
}

// permissions is the table of all that is granted, from the declared policies.
func permissions(system *declared.System) (*table, error) {
	policies, err := authz.Load(system)
	if err != nil {
		return nil, fmt.Errorf("reading the policies: %w", err)
	}
	names := map[string]string{}
	for _, r := range system.Resources {
		if arn, ok := r.Outputs["arn"].(string); ok && r.Inputs["arn"] == nil && names[arn] == "" {
			names[arn] = short(r.Name)
		}
		if names[r.ID] == "" { // a task definition has the name of its cluster
			names[r.ID] = short(r.Name)
		}
	}
	t := &table{names: names}
	for _, g := range policies.Grants() {
		if err := t.add(g); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func short(name string) string { return strings.TrimPrefix(name, "upload-router-"+stackName+"-") }

// table has a row for each statement.
type table struct {
	names map[string]string
	rows  []row
}

type row struct {
	key, sid, who, reason          string
	actions, resources, conditions []string
}

func (t *table) add(g authz.Grant) error {
	reason, known := reasons[g.Statement]
	if strings.HasSuffix(g.Policy, "-permissions") || strings.HasPrefix(g.Statement, "Permissions") {
		reason, known = "the processor's own: the configuration's `permissions` say so", true
	}
	if !known {
		return fmt.Errorf("%w: %s of %s", errNoReason, g.Statement, g.Policy)
	}
	key := g.Owner + " " + g.Policy + " " + g.Statement + " " + g.Principal
	i := slices.IndexFunc(t.rows, func(r row) bool { return r.key == key })
	if i < 0 {
		i = len(t.rows)
		t.rows = append(t.rows, row{key: key, sid: g.Statement, who: t.who(g), reason: reason, conditions: t.conditions(g)})
	}
	r := &t.rows[i]
	if !slices.Contains(r.actions, g.Action) {
		r.actions = append(r.actions, g.Action)
	}
	if resource := t.resource(g); !slices.Contains(r.resources, resource) {
		r.resources = append(r.resources, resource)
	}
	return nil
}

// everyone is the principal of an endpoint's policy, which only narrows what other policies allow.
const everyone = "*"

// who may: the role that has the policy, the principal that a resource's policy is for, or whoever comes by an endpoint.
func (t *table) who(g authz.Grant) string {
	if g.Principal == "" {
		return "role `" + t.names[g.Owner] + "`"
	}
	if g.Principal == everyone {
		return "who passes `" + t.names[g.Owner] + "`"
	}
	if strings.HasSuffix(g.Principal, ":root") {
		return "the account"
	}
	return "`" + g.Principal + "`"
}

func (t *table) resource(g authz.Grant) string {
	if g.Resource == "" || g.Resource == "*" && g.Principal != "" && g.Principal != everyone {
		return "`" + t.names[g.Owner] + "` itself"
	}
	return "`" + t.named(g.Resource) + "`"
}

func (t *table) conditions(g authz.Grant) []string {
	out := make([]string, len(g.Conditions))
	for i, c := range g.Conditions {
		out[i] = "`" + t.named(c.String()) + "`"
	}
	return out
}

// named puts the logical names in the place of ARNs, whose ends are made up.
func (t *table) named(text string) string {
	longest := make([]string, 0, len(t.names))
	for physical := range t.names {
		longest = append(longest, physical)
	}
	slices.SortFunc(longest, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	for _, physical := range longest {
		if physical != "" {
			text = strings.ReplaceAll(text, physical, "<"+t.names[physical]+">")
		}
	}
	return strings.ReplaceAll(text, "upload-router-"+stackName+"-", "")
}

// String is the table in Markdown.
func (t *table) String() string {
	var out strings.Builder
	out.WriteString("| statement | who | may | on | if | so that |\n|---|---|---|---|---|---|\n")
	for _, r := range t.rows {
		actions := make([]string, len(r.actions))
		for i, a := range r.actions {
			actions[i] = "`" + a + "`"
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | %s |\n", r.sid, r.who, strings.Join(actions, ", "),
			strings.Join(r.resources, ", "), strings.Join(r.conditions, ", "), r.reason)
	}
	return out.String()
}

// required is the list of what nothing uses, with AWS's reason.
func required() string {
	var out strings.Builder
	for _, r := range authz.Required() {
		fmt.Fprintf(&out, "- `%s` for `…%s`: %s ([AWS](%s))\n", r.Action, r.Principal, r.Reason, r.Source)
	}
	return out.String()
}
