// Asks asl-validator whether a Task may have a Resource.
"use strict";

const readline = require("readline");
const validate = require("asl-validator");

(async () => {
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const { resource } = JSON.parse(line);
        const definition = { StartAt: "T", States: { T: { Type: "Task", Resource: resource, End: true } } };
        process.stdout.write(JSON.stringify({ valid: (validate.default || validate)(definition).isValid }) + "\n");
    }
})();
