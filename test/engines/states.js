// Runs state machines in aws-local-stepfunctions. A request has a definition, an
// input, a context object, and by resource what tasks answer, one answer a call,
// the last one for ever. Waits take no time.
"use strict";

// The package wants a newer Node.js than some have.
Promise.withResolvers ??= function () {
    const out = {};
    out.promise = new Promise((resolve, reject) => Object.assign(out, { resolve, reject }));
    return out;
};

const readline = require("readline");
const { StateMachine } = require("aws-local-stepfunctions");

async function run({ definition, input, context, answers }) {
    const calls = {};
    const overrides = { taskResourceLocalHandlers: {}, waitTimeOverrides: {}, retryIntervalOverrides: {} };
    for (const [name, state] of Object.entries(definition.States)) {
        overrides.waitTimeOverrides[name] = 0;
        overrides.retryIntervalOverrides[name] = 0;
        if (state.Type !== "Task") {
            continue;
        }
        overrides.taskResourceLocalHandlers[name] = async () => {
            const script = answers[state.Resource] || [{ result: {} }];
            const call = (calls[state.Resource] = (calls[state.Resource] || 0) + 1);
            const answer = script[Math.min(call, script.length) - 1];
            if (answer.error) {
                const failure = new Error(answer.cause || "");
                failure.name = answer.error;
                throw failure;
            }
            return answer.result;
        };
    }
    const machine = new StateMachine(definition, { validationOptions: { noValidate: true } });
    const execution = machine.run(input, { overrides, context });
    const states = [];
    const seen = (async () => {
        for await (const event of execution.eventLogs) {
            if (event.type.endsWith("StateEntered")) {
                states.push(event.state.name);
            }
        }
    })();
    let ended;
    try {
        ended = { output: await execution.result };
    } catch (failure) {
        const inner = failure.cause || failure;
        ended = { error: inner.name, cause: inner.message };
    }
    await seen.catch(() => {});
    return { states, ...ended };
}

(async () => {
    for await (const line of readline.createInterface({ input: process.stdin })) {
        let answer;
        try {
            answer = await run(JSON.parse(line));
        } catch (failure) {
            answer = { refused: String(failure && failure.message) };
        }
        process.stdout.write(JSON.stringify(answer) + "\n");
    }
})();
