package local

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"

	"example.com/upload-router/internal/declared"
	"example.com/upload-router/internal/host/secrets"
	"example.com/upload-router/internal/loopback"
)

// serveSecret answers for Secrets Manager and for Systems Manager's Parameter Store. A value is what Options.Secret has by the name that
// the processors know it by: those that AWS keeps are nobody's business here.
//
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
func (r *Router) serveSecret(w http.ResponseWriter, request *http.Request) {
	out, err := r.readSecret(request)
	_ = loopback.Answer(w, out, err)
}

func (r *Router) readSecret(request *http.Request) (any, error) {
	var in struct{ SecretId, Name string } //nolint:revive // the parameter's name
	if err := json.NewDecoder(request.Body).Decode(&in); err != nil {
		return nil, loopback.Refuse("ValidationException", err.Error())
	}
	operation, arn := loopback.Operation(request), in.SecretId
	service, action := "secretsmanager", "secretsmanager:GetSecretValue"
	if operation == "GetParameter" {
		service, action, arn = "ssm", "ssm:GetParameter", in.Name
	} else if operation != "GetSecretValue" {
		return nil, loopback.Refuse("UnknownOperationException", operation)
	}
	if err := r.guard.processor(loopback.AccessKeyID(request), service, action, arn); err != nil {
		return nil, loopback.Refuse("AccessDeniedException", message(err))
	}
	name := r.secretName(arn)
	lookup := r.options.Secret
	if lookup == nil {
		lookup = os.LookupEnv
	}
	value, ok := lookup(name)
	if !ok {
		return nil, loopback.Refuse("ResourceNotFoundException",
			fmt.Sprintf("the local run has no value for %s: set the environment variable %s to one, for this command", arn, name))
	}
	if service == "ssm" {
		return map[string]any{"Parameter": map[string]any{"ARN": arn, "Value": value}}, nil
	}
	return map[string]any{"ARN": arn, "SecretString": value}, nil
}

// secretName is the name by which processors know a secret; its ARN if none does.
func (r *Router) secretName(arn string) string {
	for _, function := range r.system.OfType(declared.TypeFunction) {
		variables, _ := function.Object("environment")["variables"].(map[string]any)
		text, _ := variables[secrets.Environment].(string)
		var arns map[string]string
		if json.NewDecoder(strings.NewReader(text)).Decode(&arns) != nil {
			continue
		}
		for name, of := range arns {
			if of == arn {
				return name
			}
		}
	}
	return arn
}
