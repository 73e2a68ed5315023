// Map and reduce over text files: one job counts the words of each page of the manual, one adds them up. Ordinary TypeScript makes
// the plan; the plan, not this program, is what is stored and run.
import { readdirSync } from 'node:fs'
import { definePlan, type JobSource } from 'tenuto'

const folder = new URL('../docs/', import.meta.url)
const pages = readdirSync(folder).filter((name) => name.endsWith('.md'))
const job = (page: string): string => `count-${page.replace('.md', '')}`

const counts: Record<string, JobSource> = Object.fromEntries(
  pages.map((page) => [
    job(page),
    {
      run: 'echo "words=$(wc -w < "$PAGE")" | tee -a "$TENUTO_OUTPUT"',
      env: { PAGE: page },
      cwd: '../docs',
    } as const,
  ]),
)

const total = `
  const needs = Object.entries(JSON.parse(require('node:fs').readFileSync(process.env.TENUTO_NEEDS, 'utf8')))
  const words = needs.reduce((sum, [, { outputs }]) => sum + Number(outputs.words), 0)
  console.log(words + ' words on ' + needs.length + ' pages')
`

export default definePlan({
  name: 'word-count',
  maxParallel: 4,
  jobs: { ...counts, total: { needs: pages.map(job), exec: ['node', '-e', total] } } as Record<
    string,
    JobSource
  >,
})
