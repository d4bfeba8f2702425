// Evaluates expressions in npm's jsonata, with $states, $route if it is given, and at a given time. Random numbers are what they are in our own cases.
"use strict";

const readline = require("readline");
const jsonata = require("jsonata");

const RealDate = Date;
let now;
globalThis.Date = class extends RealDate {
    constructor(...given) {
        super(...(given.length > 0 ? given : [now]));
    }
    static now() {
        return now;
    }
};

Math.random = () => 0.5;

async function evaluate({ expression, states, at, route }) {
    now = at;
    try {
        const value = await jsonata(expression).evaluate(undefined, route === undefined ? { states } : { states, route });
        return value === undefined ? { nothing: true } : { value };
    } catch (failure) {
        return { code: failure.code, message: failure.message };
    }
}

(async () => {
    for await (const line of readline.createInterface({ input: process.stdin })) {
        process.stdout.write(JSON.stringify(await evaluate(JSON.parse(line))) + "\n");
    }
})();
