// Package settings is the one place where the stack's configuration is read, checked and given types.
//
// Every key is a row of [Keys]. From the row follow its checks and what is proposed for a wrong value, docs/configuration.md, the config:
// of Pulumi.yaml and the variants that tests go through. A key that nothing else depends on is its row and its use: a field of [Settings],
// the row that fills it, and the component that takes it.
//
// [Load] reads every key through a [Lookup], which hands out the values as Pulumi's configuration holds them, and either returns [Settings]
// that AWS will accept or one error naming every problem: the key, its value, the rule and the fix. Nothing else in the program parses
// configuration, so nothing is created from a value that was not checked here.
package settings
