"""Plan a net, look at the proof, write the new net."""

import memonger

net = memonger.load("unet")
done = memonger.optimize(net.net, shapes=net.types, time_limit=60)
print(f"{done.baseline:,} bytes without sharing, {done.objective:,} with the best plan")
print(f"{done.status.value}: no plan needs less than {done.bound:,}, proven by {done.result.proof}")
memonger.save_net(done.net, "unet-optimized.pb")
