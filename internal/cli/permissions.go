package cli

import (
	"strings"

	"example.com/upload-router/operate"
)

// permissionsOf says what a command takes, of what is deployed and of a customer managed key.
func permissionsOf(command string) string {
	text := "It takes these permissions: " + strings.Join(operate.PermissionsOf(command), ", ")
	if key := operate.KeyPermissionsOf(command); len(key) > 0 {
		text += "; with encryption: customer also " + strings.Join(key, " and ") + " on the key"
	}
	return indented(text+".", "")
}
