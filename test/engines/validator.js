// Asks asl-validator whether definitions are valid.
"use strict";

const readline = require("readline");
const validate = require("asl-validator");

(async () => {
    for await (const line of readline.createInterface({ input: process.stdin })) {
        process.stdout.write(JSON.stringify({ valid: (validate.default || validate)(JSON.parse(line)).isValid }) + "\n");
    }
})();
