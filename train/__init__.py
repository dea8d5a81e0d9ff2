"""Pre-training and finetuning. Never imports lcpfn.eval."""
