// What Step Functions adds to JSONata, takes from it, and bounds. Evaluated once
// in each runtime, after jsonata.min.js; host is what Go does for it.
(function (jsonata, host) {
    "use strict";

    // The bounds that were measured on AWS (floci's issue 2737 and its documentation).
    const maxDepth = 100, maxBytes = 6990256, maxRange = 360145;

    const failure = (code, message) => ({ code: code, message: message });
    const memory = () => failure("", "Expression evaluation memory limit exceeded: Check for excessive memory usage");
    // JSONata makes the message of its own codes.
    const signature = (name, index) => ({ code: "T0410", index: index, token: name });

    const integer = (name, index, value) => {
        if (typeof value !== "number") {
            throw signature(name, index);
        }
        return Math.trunc(value);
    };

    // Functions of Step Functions' own. Of a missing argument they are nothing.
    // https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html#jsonata-functions
    const functions = {
        partition: function (array, size) {
            if (array === undefined || size === undefined) {
                return undefined;
            }
            const items = Array.isArray(array) ? array : [array];
            const chunk = integer("partition", 2, size);
            if (chunk < 0) {
                throw failure("", "the chunk size of $partition must not be negative");
            }
            if (chunk === 0 || items.length === 0) {
                return undefined;
            }
            const out = [];
            for (let i = 0; i < items.length; i += chunk) {
                out.push(items.slice(i, i + chunk));
            }
            return out;
        },
        range: function (start, end, step) {
            if (start === undefined || end === undefined || step === undefined) {
                return undefined;
            }
            const first = integer("range", 1, start), last = integer("range", 2, end), by = integer("range", 3, step);
            const count = Math.floor((last - first) / by) + 1;
            if (by === 0 || count < 1) {
                return undefined;
            }
            if (count > maxRange) {
                throw memory();
            }
            if (count === 1) {
                return first;
            }
            return Array.from({ length: count }, (_, i) => first + i * by);
        },
        hash: function (text, algorithm) {
            if (text === undefined || algorithm === undefined) {
                return undefined;
            }
            if (typeof text !== "string") {
                throw signature("hash", 1);
            }
            return host.hash(text, String(algorithm));
        },
        random: function (seed) {
            return seed === undefined ? Math.random() : host.random(integer("random", 1, seed));
        },
        uuid: function () {
            return host.uuid();
        },
        parse: function (text) {
            if (text === undefined) {
                return undefined;
            }
            if (typeof text !== "string") {
                throw signature("parse", 1);
            }
            return JSON.parse(host.parse(text));
        },
        // Step Functions has no $eval, so that a call of it is one of what is no function.
        eval: undefined,
    };

    let depth = 0;

    // Where a range begins, between the evaluation of its two ends: one that is too
    // long isn't made at all.
    const begins = new WeakMap(), ends = new WeakMap();

    const noteRanges = (node) => {
        if (node === null || typeof node !== "object") {
            return;
        }
        if (node.type === "binary" && node.value === "..") {
            begins.set(node.lhs, node);
            ends.set(node.rhs, node);
        }
        Object.keys(node).forEach((key) => noteRanges(node[key]));
    };

    const enter = (expression, input, environment) => {
        if (environment.isParallelCall) {
            return;
        }
        depth++;
        if (depth > maxDepth) {
            throw failure("", "Stack overflow error: Check for non-terminating recursive function. " +
                `Consider rewriting as tail-recursive. Depth=${depth} max=${maxDepth}`);
        }
    };

    const leave = (expression, input, environment, result) => {
        if (!environment.isParallelCall) {
            depth--;
        }
        if (begins.has(expression)) {
            begins.get(expression).first = result;
        }
        if (ends.has(expression) && 8 * (result - ends.get(expression).first + 1) > maxBytes) {
            throw memory();
        }
        const size = typeof result === "string" ? result.length : Array.isArray(result) ? 8 * result.length : 0;
        if (size > maxBytes) {
            throw memory();
        }
    };

    // topLevel reports what an expression reads of the context at its top level,
    // which there is none of: AWS refuses the definition.
    const topLevel = (node) => {
        if (!node || typeof node !== "object") {
            return;
        }
        switch (node.type) {
            case "path":
                topLevel(node.steps[0]);
                return;
            case "name":
                throw failure("UNSUPPORTED", `Reference to '${node.value}' at the top level is not supported.`);
            case "wildcard":
            case "descendant":
                throw failure("UNSUPPORTED", `Reference to '${node.value}' at the top level is not supported.`);
            case "variable":
                if (node.value === "" || node.value === "$") {
                    throw failure("UNSUPPORTED", `Reference to '$${node.value}' is not supported.`);
                }
                return;
            case "transform":
                return; // Its pattern is applied to what it is called with.
            default:
                parts(node).forEach(topLevel);
        }
    };

    // parts are the nodes that have the same context as the node.
    const parts = (node) => {
        const out = [node.lhs, node.rhs, node.expression, node.condition, node.then, node.else, node.body, node.procedure]
            .flat(2).concat(node.expressions || [], node.arguments || []);
        return out.filter((part) => part !== undefined && part !== null);
    };

    // some tells whether test holds for the node or one below it.
    const some = (node, test) => node !== null && typeof node === "object" &&
        ((typeof node.type === "string" && test(node)) || Object.keys(node).some((key) => some(node[key], test)));

    const height = (node) => node === null || typeof node !== "object" ? 0 :
        (typeof node.type === "string" ? 1 : 0) + Object.keys(node).reduce((most, key) => Math.max(most, height(node[key])), 0);

    // unbounded tells whether an evaluation could go beyond the bounds at all: what
    // has no functions of its own, no ranges and no variables ends after as many
    // steps as it has parts. Watching each step takes as long as the step.
    const unbounded = (ast) => height(ast) > maxDepth || some(ast, (node) =>
        node.type === "lambda" || node.type === "partial" || node.type === "transform" || node.type === "bind" || node.value === "..");

    // text is the JSON of a result. JSON has no literal for numbers that aren't
    // finite: AWS writes their names (measured, too).
    const text = (result) => {
        let unsupported = false;
        const out = JSON.stringify(result, (key, value) => {
            if (typeof value === "function" || (value && (value._jsonata_lambda || value._jsonata_function))) {
                unsupported = true;
                return undefined;
            }
            return typeof value === "number" && !isFinite(value) ? String(value) : value;
        });
        if (unsupported) {
            throw failure("UNSUPPORTED_RESULT", "");
        }
        return out;
    };

    return {
        parse: (source) => {
            const expression = jsonata(source);
            topLevel(expression.ast());
            Object.keys(functions).forEach((name) => expression.assign(name, functions[name]));
            if (unbounded(expression.ast())) {
                noteRanges(expression.ast());
                expression.assign(Symbol.for("jsonata.__evaluate_entry"), enter);
                expression.assign(Symbol.for("jsonata.__evaluate_exit"), leave);
            }
            return expression;
        },
        readsErrorOutput: (expression) => some(expression.ast(), (node) => node.type === "path" && node.steps.length > 1 &&
            node.steps[0].type === "variable" && node.steps[0].value === "states" && node.steps[1].value === "errorOutput"),
        evaluate: (expression, variables) => {
            depth = 0;
            return text(expression.evaluate(undefined, JSON.parse(variables)));
        },
    };
})
