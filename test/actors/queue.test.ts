import { expect, test } from 'vitest'
import { queue } from '../../src/actors/queue.ts'

test('requests are taken in order, answered by who takes them, and what is put back comes before what is new', async () => {
  const asked = queue<string, number>()
  const answers = ['a', 'b'].map(asked.put)
  const taken = asked.take()
  expect(taken.map(({ of }) => of)).toEqual(['a', 'b'])
  expect(asked.isEmpty()).toBe(true)

  answers.push(asked.put('c'))
  asked.putBack(taken)
  for (const [index, { of, done, fail }] of asked.take().entries())
    if (of === 'b') fail(new Error('not b'))
    else done(index)

  expect(await Promise.allSettled(answers)).toEqual([
    { status: 'fulfilled', value: 0 },
    { status: 'rejected', reason: new Error('not b') },
    { status: 'fulfilled', value: 2 },
  ])
})

test('who is refused waits no more', async () => {
  const asked = queue<string>()
  const refused = expect(asked.put('a')).rejects.toThrow('over')

  asked.refuse(new Error('over'))

  await refused
  expect(asked.isEmpty()).toBe(true)
})
