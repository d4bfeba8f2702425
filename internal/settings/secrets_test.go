package settings_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/settings"
)

const (
	secretARN    = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db/prod-a1b2c3"
	parameterARN = "arn:aws:ssm:eu-central-1:123456789012:parameter/team/token"
)

func TestSecrets(t *testing.T) {
	t.Parallel()
	loaded := mustLoad(t, config{
		"secrets":          `{"PASSWORD":"` + secretARN + `","AGAIN":"` + secretARN + `","TOKEN":"` + parameterARN + `"}`,
		"secretKmsKeyArns": `["` + keyARN + `"]`,
	})
	require.Equal(t, map[string]string{"PASSWORD": secretARN, "AGAIN": secretARN, "TOKEN": parameterARN}, loaded.Secrets)
	require.Equal(t, []string{secretARN}, loaded.SecretARNs(settings.ServiceSecrets), "once")
	require.Equal(t, []string{parameterARN}, loaded.SecretARNs(settings.ServiceParameters))
	require.Equal(t, []string{keyARN}, loaded.SecretKMSKeyARNs)
	require.NotContains(t, fmt.Sprint(loaded.Warnings()), "secretKmsKeyArns")

	one := func(name, arn string) string { return fmt.Sprintf(`{%q:%q}`, name, arn) }
	for _, row := range []rule{
		{"{}", ""}, {one("PASSWORD", secretARN), ""}, {one("PASSWORD", parameterARN), ""},
		{one("_PASSWORD", secretARN), "which is what Lambda takes"}, {one("UPLOAD_X", secretARN), "AWS and the stack set"},
		{one("MODE", secretARN), "is a name of environment, too"},
		{one("PASSWORD", "hunter2"), "must be the ARN of a secret of Secrets Manager or of a parameter"},
		{one("PASSWORD", "arn:aws:s3:::bucket/key"), "must be the ARN of a secret"},
		{one("PASSWORD", strings.TrimSuffix(secretARN, "-a1b2c3")), "must be the whole ARN"},
		{one("PASSWORD", secretARN+":json-key::"), "must be the whole ARN"},
		{one("PASSWORD", strings.Replace(parameterARN, "parameter", "document", 1)), "must end with :parameter/"},
		{one("PASSWORD", strings.Replace(secretARN, "eu-central-1", "us-east-1", 1)), "must be in the stack's Region"},
		{one("PASSWORD", strings.Replace(secretARN, "arn:aws:", "arn:aws-cn:", 1)), "must begin with arn:aws:"},
	} {
		t.Run(row.value, func(t *testing.T) {
			t.Parallel()
			problems := problemsOf(t, config{"environment": `{"MODE":"x"}`, "secrets": row.value}, settings.WithRegion("eu-central-1"))
			if row.want == "" {
				require.Empty(t, problems)
				return
			}
			require.Len(t, problems, 1)
			assert.Equal(t, "secrets", settings.RootOf(problems[0].Key))
			assert.Contains(t, problems[0].Rule, row.want)
		})
	}
}

// Their ARNs are a variable of the function's, too.
func TestSecretsLeaveLessForVariables(t *testing.T) {
	t.Parallel()
	most := config{"environment": fmt.Sprintf(`{"NAME":%q}`, strings.Repeat("x", 3072-len(`{"NAME":""}`)))}
	require.Empty(t, problemsOf(t, most))
	require.Len(t, problemsOf(t, most.with("secrets", `{"PASSWORD":"`+secretARN+`"}`)), 1)
}
