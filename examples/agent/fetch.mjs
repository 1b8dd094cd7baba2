// fetch of Node, with the agent's address for a base URL.
const answer = await fetch(`${process.env.COUNTERSIGN_URL}/orders`);
if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
console.log((await answer.json()).orders[0].item);
