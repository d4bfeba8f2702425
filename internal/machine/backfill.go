package machine

import (
	"time"

	"example.com/upload-router/internal/asl"
)

// The names of the states of a backfill, and of those that its files have besides the state machine's own.
const (
	stateSource   = "List given?"
	stateList     = "Process the list"
	stateListing  = "Process the listing"
	stateCounts   = "Count the files"
	stateNotify   = "Notify end"
	stateBackfill = "Backfill done"

	stateSelect      = "Key selected?"
	stateNotSelected = "Key not selected"
	stateLookUp      = "Look up object"
	stateFound       = "Object gone?"
	stateGone        = "Object gone"
	stateRedrives    = "Note the redrives"
)

// The labels of the two Maps, which are in the ARNs of the executions that process their files, as [ChildLabels] has them.
const (
	labelList    = "list"
	labelListing = "listing"
)

// ofListing is behind the names of the states of a listing's files: a name is unique in the whole definition.
const ofListing = " (listing)"

// The folders of the bucket of backfills.
const (
	// BackfillLists has the lists of files, an array of JSON each: [{"Key": "a", "VersionId": "v", "Size": 1}], the version only where one is
	// meant.
	BackfillLists = "lists/"
	// BackfillResults has what a ResultWriter writes, in a folder for each backfill.
	BackfillResults = "results/"
)

// The integrations that only a backfill uses.
const (
	ResourceHeadObject     = "arn:aws:states:::aws-sdk:s3:headObject"
	ResourceGetObject      = "arn:aws:states:::s3:getObject"
	ResourceListObjects    = "arn:aws:states:::s3:listObjectsV2"
	ResourcePutObject      = "arn:aws:states:::s3:putObject"
	ResourceDescribeMapRun = "arn:aws:states:::aws-sdk:sfn:describeMapRun"
)

// ChildLabels are the labels in the ARNs of a backfill's children, arn:…:execution:MACHINE/LABEL:ID.
func ChildLabels() []string { return []string{labelList, labelListing} }

// BackfillInput is the input of an execution of [Backfill]. All fields are required.
type BackfillInput struct {
	// Batch is what its files get as batch in the ledger; empty: the name of the execution.
	Batch string `json:"batch"`
	// Bucket is the bucket of its files.
	Bucket string `json:"bucket"`
	// List is the key of its list in the bucket of backfills; empty: what is in the bucket, by the Prefix, is listed.
	List   string `json:"list"`
	Prefix string `json:"prefix"`
	// Again says whether it processes as well what the ledger has as processed, if that was started before it.
	Again bool `json:"again"`
	// MaxParallel is the most files at a time, 1 to 10,000.
	MaxParallel int `json:"maxParallel"`
	// Tolerate is how many percent of its files may fail, 0 to 100.
	Tolerate float64 `json:"tolerate"`
}

// backfillTimeout is the time that a backfill has: 100 million files, as many as a Map Run takes, need 12 days at the 100 a second at which
// Step Functions starts Standard children. One that runs out of it can be redriven for 14 days.
const backfillTimeout = 30 * 24 * time.Hour

// Backfill is the state machine that processes what is in a bucket already, or once more. Its input is a [BackfillInput].
//
//   - Each file is a Standard child execution of a Distributed Map. It looks its object up, as a list may be old, and goes on as an event's
//     does, but for the notices. What is gone is left alone.
//   - A file that fails does so in a state that a redrive begins anew from, and not in a Fail, which a redrive would only run again.
//   - Neither Map has a Catch, as an execution that fails there can be redriven: its Map Run goes on with what failed and what is left.
//   - At its end one notice says how it went.
func Backfill(d Description, to References) *asl.Machine {
	files := func(reader *asl.ItemReader, label, suffix string) *asl.Map { return d.files(to, reader, label, suffix) }
	return &asl.Machine{
		Comment:        "Processes the files that are in a bucket",
		StartAt:        stateSource,
		TimeoutSeconds: seconds(backfillTimeout),
		States: map[string]asl.State{
			stateSource: &asl.Choice{
				QueryLanguage: asl.LanguageJSONata,
				Choices:       []asl.Rule{{Condition: jsonata("$states.input.list != ''"), Output: ofChildren(), Next: stateList}},
				Default:       stateListing,
				Output:        ofChildren(),
			},
			stateList: files(&asl.ItemReader{
				Resource:     to.integration(ResourceGetObject),
				ReaderConfig: &asl.ReaderConfig{InputType: asl.InputJSON},
				Parameters:   map[string]any{"Bucket": to.BackfillBucket, "Key.$": "$.list"},
			}, labelList, ""),
			stateListing: files(&asl.ItemReader{
				Resource:   to.integration(ResourceListObjects),
				Parameters: map[string]any{"Bucket.$": "$.bucket", "Prefix.$": "$.prefix"},
			}, labelListing, ofListing),
			stateCounts:   to.countFiles(),
			stateNotify:   to.notifyEnd(),
			stateBackfill: &asl.Succeed{},
		},
	}
}

// ofChildren is what the files of a backfill have in common, and where their results go: beside the input, for the Maps.
func ofChildren() string {
	return outputWith("{'children': {" +
		"'batch': $states.input.batch = '' ? $states.context.Execution.Name : $states.input.batch, " +
		"'again': $states.input.again ? " + theStart + " : '', " +
		"'results': " + literal(BackfillResults) + " & $states.context.Execution.Name}}")
}

// files processes each file of a dataset. It is a state of JSONPath: of JSONata the guide calls what a ResultWriter takes Arguments, and
// other readers of the language Parameters.
// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
func (d Description) files(to References, reader *asl.ItemReader, label, suffix string) *asl.Map {
	const item = "$$.Map.Item.Value"
	return &asl.Map{
		Label:      label,
		ItemReader: reader,
		ItemSelector: map[string]any{
			"batch.$": "$.children.batch",
			"again.$": "$.children.again",
			"item.$":  item,
			"detail": map[string]any{
				"bucket": map[string]any{"name.$": "$.bucket"},
				"object": map[string]any{"key.$": item + ".Key", "size.$": item + ".Size"},
			},
		},
		ItemProcessor: &asl.ItemProcessor{
			ProcessorConfig: &asl.ProcessorConfig{Mode: asl.ModeDistributed, ExecutionType: asl.ExecutionStandard},
			StartAt:         d.firstOf(to, label) + suffix,
			States:          renamed(d.file(to, label), suffix),
		},
		MaxConcurrencyPath:             "$.maxParallel",
		ToleratedFailurePercentagePath: "$.tolerate",
		ResultWriter: &asl.ResultWriter{
			Resource:   to.integration(ResourcePutObject),
			Parameters: map[string]any{"Bucket": to.BackfillBucket, "Prefix.$": "$.children.results"},
		},
		ResultPath: "$.map",
		Next:       stateCounts,
	}
}

// selects says whether keys are compared: whoever makes a list has done so.
func (to References) selects(label string) bool { return label == labelListing && len(to.Keys) > 0 }

// firstOf is the first state of a file.
func (Description) firstOf(to References, label string) string {
	if to.selects(label) {
		return stateSelect
	}
	return stateLookUp
}

// file are the states of a file: those of an event, of which a state looks the object up.
func (d Description) file(to References, label string) map[string]asl.State {
	d.NotifySuccess, to.child = false, true
	states := d.processing(to, d.check(), map[string]asl.State{
		stateLookUp:   d.lookUp(to),
		stateFound:    d.found(),
		stateGone:     &asl.Succeed{Comment: "Nothing to process: the object was deleted, or the version that was meant"},
		stateRedrives: noteRedrives(),
		stateFailed:   fileFailed(),
	})
	if to.selects(label) {
		rules := make([]asl.Rule, len(to.Keys))
		for i, glob := range to.Keys {
			rules[i] = asl.Rule{Variable: keyPath, Operator: asl.StringMatches, Value: glob}
		}
		rule := anyOf(rules...)
		rule.Next = stateLookUp
		states[stateSelect] = &asl.Choice{
			Comment: "As the rule of the bucket's events selects", Choices: []asl.Rule{rule}, Default: stateNotSelected,
		}
		states[stateNotSelected] = &asl.Succeed{}
	}
	return states
}

// errorNoObject is what S3's SDK makes of a HEAD's 404.
const errorNoObject = "S3.NoSuchKeyException"

// lookUp makes the event of what is there now, whatever was listed: the size decides on the route, and the worker reads the very content
// that the entity tag, or the version, is of. The event has no sequencer, and so is of the newest content that there is. Its time is that
// of the object: of two versions the later one is the newer one, whichever is processed last.
func (d Description) lookUp(to References) *asl.Task {
	const asked = theInput + ".detail"
	const version = theInput + ".item.VersionId"
	const head = "$states.result"
	return &asl.Task{
		Comment:       "What is there now decides, and not what was listed",
		QueryLanguage: asl.LanguageJSONata,
		Resource:      to.integration(ResourceHeadObject),
		Arguments: jsonata("$merge([{'Bucket': " + asked + ".bucket.name, 'Key': " + asked + ".object.key}, " +
			"$exists(" + version + ") ? {'VersionId': " + version + "} : {}])"),
		Output: jsonata("$merge([" + theInput + ", {'time': " + head + ".LastModified, 'detail': {'bucket': " + asked + ".bucket, 'object': {" +
			"'key': " + asked + ".object.key, 'size': " + head + ".ContentLength, 'etag': " + head + ".ETag, " +
			"'version-id': " + head + ".VersionId}}}])"),
		TimeoutSeconds: seconds(ItemTimeout),
		Retry:          []asl.Retrier{{ErrorEquals: []string{errorNoObject}, MaxAttempts: new(0)}, lookUpRetries.of(asl.ErrorAll)},
		Catch: []asl.Catcher{
			caught(errorNoObject, jsonata(theInput), stateGone),
			caught(asl.ErrorAll, jsonata("$merge(["+theInput+", {'error': $states.errorOutput}])"), stateFound),
		},
		Next: d.checkState(),
	}
}

// found tells by the cause that an object isn't there: the answer to a HEAD has no body, and so no error of S3's by which all SDKs name it
// alike. A version that is a delete marker is 405.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func (Description) found() *asl.Choice {
	return &asl.Choice{
		QueryLanguage: asl.LanguageJSONata,
		Choices: []asl.Rule{{
			Comment: "404, or 405 of a delete marker", Output: jsonata(theInput), Next: stateGone,
			Condition: jsonata("$contains(" + theError + `.Cause, /Status Code: 40[45]\b/)`),
		}},
		Default: stateRedrives,
	}
}

// theRedrives is how often the execution was redriven.
const theRedrives = "($exists($states.context.Execution.RedriveCount) ? $states.context.Execution.RedriveCount : 0)"

// noteRedrives keeps how often the execution was redriven when it failed.
func noteRedrives() *asl.Pass {
	return &asl.Pass{
		QueryLanguage: asl.LanguageJSONata, Output: outputWith("{'error': " + theError + ", 'redrives': " + theRedrives + "}"), Next: stateFailed,
	}
}

// fileFailed fails by an expression, and leads back to the beginning when it is redriven: a redrive enters the state that failed again.
// https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
func fileFailed() *asl.Choice {
	return &asl.Choice{
		QueryLanguage: asl.LanguageJSONata,
		Comment:       "Fails, and begins anew when it is redriven",
		Choices: []asl.Rule{
			{Comment: "redriven", Condition: jsonata(theRedrives + " > $states.input.redrives"), Next: stateLookUp},
			{
				Comment:   "always",
				Condition: jsonata("$error($states.input.error.Error & ': ' & $states.input.error.Cause)"), Next: stateLookUp,
			},
		},
	}
}

// countFiles asks how the files of the Map Run ended. Without an answer the notice says so.
func (to References) countFiles() *asl.Task {
	const counts = "$states.result.ItemCounts"
	with := func(succeeded, failed string) string {
		return outputWith("{'batch': $states.input.children.batch, 'mapRun': $states.input.map.MapRunArn, " +
			"'results': $states.input.map.ResultWriterDetails.Key, 'succeeded': " + succeeded + ", 'failed': " + failed + "}")
	}
	return &asl.Task{
		QueryLanguage: asl.LanguageJSONata,
		Resource:      to.integration(ResourceDescribeMapRun),
		Arguments:     map[string]any{"MapRunArn": jsonata("$states.input.map.MapRunArn")},
		// What wasn't processed in time has failed as well.
		Output:         with("$string("+counts+".Succeeded)", "$string("+counts+".Failed + "+counts+".TimedOut + "+counts+".Aborted)"),
		TimeoutSeconds: seconds(ItemTimeout),
		Retry:          []asl.Retrier{ItemRetries.of(asl.ErrorAll)},
		Catch:          caughtAny(with("'unknown'", "'unknown'"), stateNotify),
		Next:           stateNotify,
	}
}

// notifyEnd is the one notice of a backfill that ended well.
func (to References) notifyEnd() *asl.Task {
	return publish(to, stateBackfill, "Backfill done: {}",
		line("Batch", "States.JsonToString($.batch)"),
		line("Bucket", "$.bucket"),
		line("Processed, skipped or gone", "$.succeeded"),
		line("Failed", "$.failed"),
		line("Execution", "$$.Execution.Id"),
		line("Details", "States.Format('upload-router backfill show {}', $$.Execution.Name)"),
	)
}

// renamed are states whose names end with a suffix.
func renamed(states map[string]asl.State, suffix string) map[string]asl.State {
	if suffix == "" {
		return states
	}
	out := make(map[string]asl.State, len(states))
	rename := func(name *string) {
		if *name != "" {
			*name += suffix
		}
	}
	for name, state := range states {
		switch s := state.(type) {
		case *asl.Task:
			rename(&s.Next)
			for i := range s.Catch {
				rename(&s.Catch[i].Next)
			}
		case *asl.Choice:
			rename(&s.Default)
			for i := range s.Choices {
				rename(&s.Choices[i].Next)
			}
		case *asl.Pass:
			rename(&s.Next)
		case *asl.Wait:
			rename(&s.Next)
		}
		rename(&name)
		out[name] = state
	}
	return out
}
