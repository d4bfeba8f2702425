package settings

import "fmt"

// Encryption says whose keys encrypt what the stack keeps.
type Encryption string

// The kinds of encryption; the first is the default.
const (
	// EncryptionAWS leaves the keys to AWS, but for the logs', which must be one of the account's own (A5, A29).
	EncryptionAWS Encryption = "aws"
	// EncryptionCustomer uses one key of the account's own for all of it (C14 to C16).
	EncryptionCustomer Encryption = "customer"
)

const (
	keyEncryption      = "encryption"
	keyKMSKeyARN       = "kmsKeyArn"
	keyKMSDataKeyReuse = "kmsDataKeyReuse"
)

// encryptionKeys are whose keys encrypt.
func encryptionKeys() []Key {
	return []Key{
		{
			Name: keyEncryption, Type: TypeString, Default: string(EncryptionAWS), Example: string(EncryptionCustomer),
			Doc: "Whose keys encrypt: aws (those that AWS manages; for the logs one of the account's own) or customer (one of the " +
				"account's own for bucket, queue, topic, logs, image repository and state machine). To change it later makes a new image " +
				"repository, and leaves the objects that are there with the key that they have.",
		},
		{
			Name: keyKMSKeyARN, Type: TypeString, Default: "",
			Example: "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
			Doc: "KMS key of the account's own to use, as an ARN of the stack's own Region; it is not changed, and its policy must hold what " +
				"the output kmsKeyPolicy says. Empty: a key is made.",
		},
		{
			Name: keyKMSDataKeyReuse, Type: TypeInteger, Default: 300, Example: "300",
			Doc: "How long the state machine uses a data key of the account's own key again, in seconds, 60-900, with encryption customer " +
				"only: longer costs fewer calls to KMS.",
		},
	}
}

// encryption reads the keys of encryptionKeys.
func (l *loader) encryption(s *Settings) {
	s.Encryption = Encryption(l.choice(keyEncryption, string(EncryptionAWS), string(EncryptionCustomer)))
	checkKey := func(value string) error { return checkKeyARN(value, l.region) }
	s.KMSKeyARN = l.textOr(keyKMSKeyARN, optional(checkKey), func(value string) string {
		return l.mendedARN(value, l.keys[keyKMSKeyARN].Example, checkKey)
	})
	s.KMSDataKeyReuse, _ = l.seconds(keyKMSDataKeyReuse, 60, 900)
	if s.Encryption == EncryptionAWS && s.KMSDataKeyReuse > 0 && l.raw(keyKMSDataKeyReuse) != l.keys[keyKMSDataKeyReuse].raw() {
		shown := display(l.raw(keyEncryption))
		if l.isSecret(keyEncryption) {
			shown = hidden
		}
		l.reportAt(keyKMSDataKeyReuse, keyKMSDataKeyReuse, l.raw(keyKMSDataKeyReuse),
			fmt.Sprintf("goes with %s customer only, not with %s", keyEncryption, shown), removeCommand(keyKMSDataKeyReuse))
	}
}
