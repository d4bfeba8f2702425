package upload_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"upload-router/internal/upload"
	"upload-router/internal/upload/uploadtest"
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
			client, err := upload.NewClient(t.Context())
			require.NoError(t, err)
			assert.Equal(t, test.pathStyle, client.Options().UsePathStyle)
			assert.Equal(t, "eu-central-1", client.Options().Region)
		})
	}
}

func TestNewClientNamesABadConfiguration(t *testing.T) {
	t.Setenv("AWS_MAX_ATTEMPTS", "many")
	_, err := upload.NewClient(t.Context())
	message := requireCode(t, upload.Failed, err)
	assert.Contains(t, message, "AWS_MAX_ATTEMPTS")
}
