"""The studio: what a person touches, and what keeps runs alive. Never imports torch.

In the order a run meets them: config_file (a file and --set become a config), devices and catalogue (what
there is), verdict (what fits, and how long it takes: architecture, dry_run, estimate, fitting, experience), trainer_child (short jobs in a child), finetune_manager (tasks), supervised_trainer (the contract,
carried out by others), launcher and supervisor (a process that outlives its starter), run_queue (one run a device) and notices (who is told of its end), runs (what is on the
disk), progress (a run told in the terminal), doctor, demo, cli. For the browser: form and texts (what a page
asks and says), curves and trash, routes, pages and components, app (the pages), door (who may come in), server.
"""
