// What the programs share: the file of requests that `countersign bench proofs` wrote, and a clock.
import { readFileSync } from 'node:fs'
import process from 'node:process'

const CALLS = 100

export function requests() {
  const [heading, ...list] = readFileSync(process.argv[2], 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line))
  return { heading, list }
}

export function version(name) {
  const lock = JSON.parse(readFileSync(new URL('package-lock.json', import.meta.url), 'utf8'))
  return lock.packages[`node_modules/${name}`].version
}

// Checks the first half to warm up and measures the second: microseconds of CPU time, of all threads of the process, for
// one check; the median of samples. `check` throws for a request that it refuses.
export async function measure(list, check) {
  const middle = Math.floor(list.length / 2)
  for (const request of list.slice(0, middle)) await check(request)
  const samples = []
  for (let at = middle; at + CALLS <= list.length; at += CALLS) {
    const before = process.cpuUsage()
    for (let i = at; i < at + CALLS; i += 1) await check(list[i])
    const spent = process.cpuUsage(before)
    samples.push((spent.user + spent.system) / CALLS)
  }
  samples.sort((a, b) => a - b)
  return samples[Math.floor(samples.length / 2)]
}

export function print(peer, token, us_cpu, lacks) {
  console.log(JSON.stringify({ peer, token, us_cpu, lacks }))
}
