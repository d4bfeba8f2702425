package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"example.com/upload-router/internal/asl"
	"example.com/upload-router/internal/authz"
	"example.com/upload-router/internal/declared"
)

// after is what is to be asked once a call was made.
type after struct {
	// logger writes to the log groups what the processor logged.
	logger string
	groups []string
	// unlogged is why nothing of that is written.
	unlogged error
	// cluster is where follower had a task run.
	cluster, follower string
}

// ask asks for what follows a call. A refusal doesn't undo the call, and is noted.
func (a after) ask(ctx context.Context, g *guard, out any, err error) {
	log := recorderOf(ctx)
	unlogged := a.unlogged
	if a.logger != "" && unlogged == nil {
		unlogged = g.writeLogs(a.logger, a.groups, "logs:PutLogEvents")
	}
	if unlogged != nil {
		log.lostLogs()
		log.refused(unlogged)
	}
	if a.cluster == "" {
		return
	}
	described, _ := out.(map[string]any)
	task := text(described, "TaskArn")
	if task == "" { // it ended otherwise than by itself; its id makes no difference
		task = strings.Replace(a.cluster, ":cluster/", ":task/", 1) + "/0"
	}
	in := map[string][]string{keyCluster: {a.cluster}}
	// Step Functions looks at the task, besides hearing of its end by an event.
	log.refused(g.may(a.follower, "ecs:DescribeTasks", task, in))
	failed, _ := errors.AsType[*asl.Error](err)
	if ctx.Err() != nil || failed != nil && failed.Name == asl.ErrorTimeout {
		log.refused(g.may(a.follower, "ecs:StopTask", task, in))
	}
}

// refused notes a refusal that no state saw.
func (l *recorder) refused(err error) {
	if err != nil {
		l.note(func(e *Execution) { e.Refused = append(e.Refused, message(err)) })
	}
}

// lostLogs forgets what the last processor logged.
func (l *recorder) lostLogs() {
	l.note(func(e *Execution) {
		if n := len(e.Runs); n > 0 {
			e.Runs[n-1].Logs = nil
		}
	})
}

// refusal is a refused call as a state machine shows it: by the name of the exception in the service's SDK, which is that of all
// its exceptions if it has none of this kind.
func refusal(name, service, code string, status int, err error) error {
	return &asl.Error{
		Name:  name,
		Cause: fmt.Sprintf("%s (Service: %s; Status Code: %d; Error Code: %s)", message(err), service, status, code),
	}
}

// invoke is for lambda:invoke, and for what Lambda does with the function's role.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html
func (g *guard) invoke(role string, parameters map[string]any) (after, error) {
	arn := text(parameters, "FunctionName")
	if err := g.may(role, "lambda:InvokeFunction", arn, nil); err != nil {
		return after{}, refusal("Lambda.AWSLambdaException", "AWSLambda", "AccessDeniedException", http.StatusForbidden, err)
	}
	function, err := g.system.Where(declared.TypeFunction, "arn", arn)
	if err != nil {
		return after{}, nil //nolint:nilerr // the call itself says that there is no such function
	}
	then := after{logger: function.Text("role"), groups: []string{text(function.Object("loggingConfig"), "logGroup")}}
	// It runs all the same, but nobody will read what it logs.
	then.unlogged = g.writeLogs(then.logger, then.groups, "logs:CreateLogStream")
	return then, nil
}

// writeLogs asks for what writing to a stream of each group takes.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
func (g *guard) writeLogs(role string, groups []string, action string) error {
	for _, name := range groups {
		group, err := g.system.Where(declared.TypeLogGroup, "name", name)
		if err != nil {
			return fmt.Errorf("finding the log group: %w", err)
		}
		if err := g.through("logs", role, action, group.ARN()+":log-stream:processor/1", nil); err != nil {
			return err
		}
	}
	return nil
}

// runTask is for ecs:runTask, and for what ECS does with the two roles of the task before its program starts.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-ecs.html
func (g *guard) runTask(role string, parameters map[string]any) (after, error) {
	arn, cluster := text(parameters, "TaskDefinition"), text(parameters, "Cluster")
	task, err := g.system.Where(declared.TypeTaskDefinition, "arn", arn)
	if err != nil {
		return after{}, nil //nolint:nilerr // the call itself says that there is no such task definition
	}
	execution, processor := task.Text("executionRoleArn"), task.Text("taskRoleArn")
	if err := g.mayRun(role, arn, cluster, parameters, execution, processor); err != nil {
		return after{}, refusal("ECS.AccessDeniedException", "AmazonECS", "AccessDeniedException", http.StatusBadRequest, err)
	}
	for _, taken := range []string{execution, processor} {
		if err := g.assumes(serviceECS, taken, beside(arn, "ecs", "task/local")); err != nil {
			return after{}, refusal("ECS.ClientException", "AmazonECS", "ClientException", http.StatusBadRequest,
				fmt.Errorf("ECS was unable to assume the role '%s' that was provided for this task: %w", taken, err))
		}
	}
	var containers []container
	if err := json.Unmarshal([]byte(task.Text("containerDefinitions")), &containers); err != nil {
		return after{}, fmt.Errorf("reading the containers of %s: %w", task.Name, err)
	}
	then := after{logger: execution, cluster: cluster, follower: role}
	for _, c := range containers {
		if err := g.pull(execution, c.Image); err != nil {
			return after{}, notStarted(parameters, "CannotPullContainerError: pull image manifest has been retried 1 time(s): "+message(err))
		}
		if group := c.LogConfiguration.Options["awslogs-group"]; group != "" {
			then.groups = append(then.groups, group)
		}
	}
	if err := g.writeLogs(execution, then.groups, "logs:CreateLogStream"); err != nil {
		return after{}, notStarted(parameters, "ResourceInitializationError: failed to validate logger args: "+
			"create stream has been retried 1 times: failed to create Cloudwatch log stream: "+message(err))
	}
	return then, nil
}

// mayRun asks for RunTask and for what it takes to give the task its roles.
func (g *guard) mayRun(role, definition, cluster string, parameters map[string]any, roles ...string) error {
	in := map[string][]string{keyCluster: {cluster}}
	if err := g.may(role, "ecs:RunTask", definition, in); err != nil {
		return err
	}
	if parameters["Tags"] != nil || parameters["PropagateTags"] != nil {
		task := strings.Replace(cluster, ":cluster/", ":task/", 1) + "/0"
		// TagResource isn't asked with the cluster, as the other calls are.
		// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
		if err := g.may(role, "ecs:TagResource", task, map[string][]string{"ecs:CreateAction": {"RunTask"}}); err != nil {
			return err
		}
	}
	for _, passed := range roles {
		if err := g.may(role, "iam:PassRole", passed, map[string][]string{keyPassedTo: {serviceECS}}); err != nil {
			return err
		}
	}
	return nil
}

// pull asks for an image of ECR; other registries have no IAM.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/ECR_on_ECS.html
func (g *guard) pull(role, image string) error {
	for _, r := range g.system.OfType(declared.TypeRepository) {
		url := r.Output("repositoryUrl")
		if url == "" || !strings.HasPrefix(image, url+"@") && !strings.HasPrefix(image, url+":") {
			continue
		}
		return errors.Join(
			g.pulls(role, "*", "ecr:GetAuthorizationToken"),
			g.pulls(role, r.ARN(), "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
			g.layers(role),
		)
	}
	return nil
}

// pulls asks for calls to ECR. They must pass either of its endpoints: AWS doesn't
// say which of the two each call takes, and wants one policy for both.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
func (g *guard) pulls(role, resource string, actions ...string) error {
	ways := slices.Compact([]string{g.endpointOf(role, "ecr.api"), g.endpointOf(role, "ecr.dkr")})
	for _, action := range actions {
		for _, endpoint := range ways {
			if err := g.ask(authz.Request{
				Principal: authz.Principal{Role: role}, Action: action, Resource: resource, Endpoint: endpoint,
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// layers asks for the bucket that ECR has layers fetched from, by an address
// that ECR signs: only a VPC endpoint could keep a task from it.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
func (g *guard) layers(role string) error {
	through := g.endpointOf(role, "s3")
	if through == "" {
		return nil
	}
	return g.ask(authz.Request{
		Principal: authz.Principal{Service: "ecr.amazonaws.com"}, Action: "s3:GetObject", Endpoint: through,
		Resource: g.bucketARN("prod-" + g.options.Region + "-starport-layer-bucket/layer"),
	})
}

// notStarted is the failure of a task that ECS could not start.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
func notStarted(parameters map[string]any, reason string) error {
	cause, err := json.Marshal(map[string]any{
		"ClusterArn":        parameters["Cluster"],
		"LastStatus":        statusStopped,
		"LaunchType":        parameters["LaunchType"],
		"StopCode":          stopCodeNoStart,
		"StoppedReason":     reason,
		"TaskDefinitionArn": parameters["TaskDefinition"],
	})
	if err != nil {
		return fmt.Errorf("describing a task that wasn't started: %w", err)
	}
	return &unstarted{&asl.Error{Name: asl.ErrorTaskFailed, Cause: string(cause)}}
}

// unstarted is the error of a task that ECS could not start.
type unstarted struct{ failure *asl.Error }

func (u *unstarted) Error() string { return u.failure.Error() }
func (u *unstarted) Unwrap() error { return u.failure }

// publish is for sns:publish.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-sns.html
func (g *guard) publish(role string, parameters map[string]any) (after, error) {
	topic := text(parameters, "TopicArn")
	if err := g.may(role, "sns:Publish", topic, nil); err != nil {
		return after{}, refusal("SNS.AuthorizationErrorException", "AmazonSNS", "AuthorizationError", http.StatusForbidden, err)
	}
	if err := g.encrypts(role, topic); err != nil {
		return after{}, refusal("SNS.KMSAccessDeniedException", "AmazonSNS", "KMSAccessDenied", http.StatusBadRequest, err)
	}
	return after{}, nil
}

// encrypts asks for the key of a topic that a role publishes to.
// https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
func (g *guard) encrypts(role, topic string) error {
	key := g.keyOf(topic)
	if key == "" {
		return nil
	}
	context := map[string][]string{keyViaService: {g.via("sns")}, keyEncryption + "aws:sns:topicArn": {topic}}
	return g.all(role, key, context, "kms:GenerateDataKey", "kms:Decrypt")
}
