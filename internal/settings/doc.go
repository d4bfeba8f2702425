// Package settings is the one place where the stack's configuration is read, checked and given types.
//
// [Load] reads every key of [Keys] through a [Lookup], which hands out the values as Pulumi's configuration holds them, and
// either returns [Settings] that AWS will accept or one error naming every problem: the key, its value, the rule and how to
// mend it. Nothing else in the program parses configuration, so nothing is created from a value that was not checked here.
//
// The defaults live in [Keys] only; Pulumi.yaml repeats them for the command line, and a test proves the two equal.
package settings
