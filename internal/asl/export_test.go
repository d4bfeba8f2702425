package asl

// SplitResults makes the files of a ResultWriter no longer than so many bytes.
func (in *Interpreter) SplitResults(most int64) { in.resultFile = most }
