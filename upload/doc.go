// Package upload says which uploaded S3 object a run is about, what is done to it, and what can go wrong meanwhile. It is all that a
// processor needs to know of its host, which package worker runs: on Lambda and on Fargate alike. What must hold whatever the processor
// does is the host's, so that replacing the processor cannot lose it:
//
//   - The very version that fired the event is read: by version id, or by If-Match on the entity tag in a bucket without versioning.
//   - The object has the announced size, and its bytes match the checksum that S3 stores for it, when it stores one that covers the
//     whole object.
//   - The object is streamed once, in order, in constant memory, with no temporary file: over one connection as long as that is not
//     what the reader waits for, then over several.
//   - A connection that breaks, stalls or is refused for a while is replaced, alone, within a budget, and pinned to the same content.
//   - A failure is an [Error] with a [Code] by which the state machine tells failures apart and knows which are worth a retry.
package upload
