// Package eventbridge holds the parts of Amazon EventBridge that the local runner needs to behave like the service: the
// event pattern language of rules, the "Object Created" event that Amazon S3 sends, and the delivery of an event to a
// target with retries and a dead-letter record.
//
// The pattern language follows the AWS page "Comparison operators for use in event patterns"; a pattern that EventBridge
// would refuse is refused here too, with the path of the field that is wrong, because a silently ignored condition would
// route objects differently on the developer's machine and in the account.
//
// The event follows the AWS page "EventBridge event message structure" of the Amazon S3 user guide and the sample of
// requirement C39. Delivery follows "How EventBridge retries delivering events" and "Using dead-letter queues to process
// undelivered events in EventBridge" (requirement A38).
package eventbridge
