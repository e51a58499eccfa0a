from abtest.commands import main

main()
