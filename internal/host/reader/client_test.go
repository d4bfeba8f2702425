package reader_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/upload"
)

func TestNewClientAddressesBuckets(t *testing.T) {
	tests := map[string]struct {
		variable, value string
		pathStyle       bool
	}{
		"in the host name of S3":               {"AWS_ENDPOINT_URL", "", false},
		"in the path of an endpoint":           {"AWS_ENDPOINT_URL", "http://127.0.0.1:9000", true},
		"in the path of an endpoint for S3":    {"AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000", true},
		"in the host name with another's only": {"AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9000", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_REGION", "eu-central-1")
			t.Setenv("AWS_ACCESS_KEY_ID", uploadtest.AccessKeyID)
			t.Setenv("AWS_SECRET_ACCESS_KEY", uploadtest.SecretAccessKey)
			t.Setenv(test.variable, test.value)
			client, err := reader.NewClient(t.Context())
			require.NoError(t, err)
			assert.Equal(t, test.pathStyle, client.Options().UsePathStyle)
			assert.Equal(t, "eu-central-1", client.Options().Region)
		})
	}
}

func TestNewClientNamesABadConfiguration(t *testing.T) {
	t.Setenv("AWS_MAX_ATTEMPTS", "many")
	_, err := reader.NewClient(t.Context())
	message := uploadtest.RequireCode(t, upload.Failed, err)
	assert.Contains(t, message, "AWS_MAX_ATTEMPTS")
}

func TestNewClientTakesTheCredentialsOfItsHost(t *testing.T) {
	const relative = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
	tests := map[string]struct {
		environment map[string]string
		want        string // In the error; empty for none.
	}{
		"a function's": {map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}, ""},
		"a task's":     {map[string]string{relative: "/v2/credentials/1"}, ""},
		"none":         {nil, "ECS those of the task's role at " + relative},
		"no Region":    {map[string]string{"AWS_REGION": "", relative: "/v2/credentials/1"}, "set AWS_REGION"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", relative, "AWS_DEFAULT_REGION"} {
				t.Setenv(variable, "")
			}
			t.Setenv("AWS_REGION", "eu-central-1")
			for variable, value := range test.environment {
				t.Setenv(variable, value)
			}
			client, err := reader.NewClient(t.Context())
			if test.want != "" {
				require.Contains(t, uploadtest.RequireCode(t, upload.Failed, err), test.want)
				return
			}
			require.NoError(t, err)
			require.NotNil(t, client.Options().Credentials)
		})
	}
}
